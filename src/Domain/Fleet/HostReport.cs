namespace Sluice.Domain.Fleet;

/// <summary>The doctor's report of a host.</summary>
/// <param name="HostId">The host's id.</param>
/// <param name="At">The time of the examination.</param>
/// <param name="Report">JSON: the verdict, the layers and the findings.</param>
public sealed record HostReport(string HostId, DateTimeOffset At, string Report);
