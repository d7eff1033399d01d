namespace Sluice.Domain.Fleet;

/// <summary>The id of a host that runs pods: this machine's own name, which is kept over restarts.</summary>
public sealed record HostId(string Value);
