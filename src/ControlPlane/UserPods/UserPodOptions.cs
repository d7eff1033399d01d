namespace Sluice.ControlPlane.UserPods;

/// <summary>Settings of the control of user pods.</summary>
/// <param name="UsesPaths">Whether ports are reached by a path, and not by a subdomain.</param>
public sealed record UserPodOptions(bool UsesPaths);
