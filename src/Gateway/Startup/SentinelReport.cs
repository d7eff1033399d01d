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
    /// none that can be used. A report that is older than the one in use counts only if a majority of the Sentinels
    /// gives it: one Sentinel without connection to the others can report an older one, and Sentinels that were set up
    /// again count from 0.
    /// </summary>
    /// <param name="reports">The reports of the reachable Sentinels.</param>
    /// <param name="known">The epoch of the report in use.</param>
    /// <param name="sentinels">The number of Sentinels, reachable or not.</param>
    public static SentinelReport? Choose(IEnumerable<SentinelReport> reports, long known, int sentinels) =>
        reports.GroupBy(r => r)
            .Where(g => g.Key.ConfigEpoch >= known || g.Count() > sentinels / 2)
            .OrderByDescending(g => g.Key.ConfigEpoch)
            .ThenByDescending(g => g.Count())
            .FirstOrDefault()?.Key;
}
