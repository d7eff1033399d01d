namespace Sluice.Domain.UserPods;

/// <summary>The address of a port of a running pod.</summary>
/// <param name="Port">The port inside the container.</param>
/// <param name="Host">Host name or IP address that the gateway connects to.</param>
/// <param name="Number">Port number that the gateway connects to.</param>
/// <param name="Public">Port of the pod's machine that is published; null: none is.</param>
public sealed record UserPodAddress(int Port, string Host, int Number, int? Public = null);
