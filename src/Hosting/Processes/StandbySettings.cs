namespace Sluice.Hosting.Processes;

/// <summary>
/// Number of standby workers that this host keeps. Each one uses the memory of a worker without a model (about 100
/// MiB).
/// </summary>
public sealed record StandbySettings(int Count);
