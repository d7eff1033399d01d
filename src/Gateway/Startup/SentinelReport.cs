using System.Net;

namespace Sluice.Gateway.Startup;

/// <summary>What one Sentinel says about the primary of a service.</summary>
/// <param name="Primary">The address of the primary.</param>
/// <param name="ConfigEpoch">
/// The number of the failover that made it the primary. Sentinels increase it with each failover, and the report with
/// the highest number is the newest (https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/,
/// "Configuration epochs").
/// </param>
public sealed record SentinelReport(EndPoint Primary, long ConfigEpoch)
{
    /// <summary>
    /// Returns the newest report, and of several equally new ones the one on which most Sentinels agree; null: there is
    /// none, or each of them is older than the newest that is known.
    /// </summary>
    /// <param name="reports">The reports of the reachable Sentinels.</param>
    /// <param name="known">
    /// The epoch of the report in use. A Sentinel without connection to the others can report an older one.
    /// </param>
    public static SentinelReport? Choose(IEnumerable<SentinelReport> reports, long known) =>
        reports.Where(r => r.ConfigEpoch >= known)
            .GroupBy(r => r)
            .OrderByDescending(g => g.Key.ConfigEpoch)
            .ThenByDescending(g => g.Count())
            .FirstOrDefault()?.Key;
}
