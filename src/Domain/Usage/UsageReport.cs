namespace Sluice.Domain.Usage;

/// <summary>Groups the usage of endpoints by time and by a dimension, and applies prices. Pure.</summary>
/// <param name="prices">The prices.</param>
/// <param name="stepOf">Returns the begin of the step that contains a time.</param>
/// <param name="groupsOf">
/// Returns the groups of a row of an endpoint; several if they overlap, as tags do. The time of workers that no request
/// used has a row without a key.
/// </param>
public sealed class UsageReport(
    PriceTable prices,
    Func<DateTimeOffset, DateTimeOffset> stepOf,
    Func<string, UsageRow, IEnumerable<string?>> groupsOf)
{
    private readonly Dictionary<(DateTimeOffset At, string Group), UsageLine> lines = [];

    /// <summary>The lines, by time and group.</summary>
    public IReadOnlyList<UsageLine> Lines =>
        [.. lines.Values.OrderBy(l => l.At).ThenBy(l => l.Group ?? "", StringComparer.Ordinal)];

    /// <summary>Adds a period of an endpoint.</summary>
    public void Add(UsagePeriod period)
    {
        Dictionary<string, double> busy = new(StringComparer.Ordinal), ready = new(StringComparer.Ordinal);
        foreach (var (row, sums) in period.Rows)
        {
            busy[row.Gpu] = busy.GetValueOrDefault(row.Gpu) + (sums[UsageQuantity.Busy] / 1000.0);
            ready[row.Gpu] = ready.GetValueOrDefault(row.Gpu) + sums[UsageQuantity.Ready];
        }

        foreach (var (row, sums) in period.Rows)
        {
            // Each row has the same idle part of its ready time. Requests that ended in this hour may have begun in an
            // earlier one, so their time can be more than that of the workers.
            var part = ready[row.Gpu] > 0 ? Math.Max(0, 1 - (busy[row.Gpu] / ready[row.Gpu])) : 0;
            var idle = sums[UsageQuantity.Ready] * part;
            var seconds = new WorkerSeconds(sums[UsageQuantity.Starting] / 1000.0,
                sums[UsageQuantity.Busy] / 1_000_000.0, idle / 1000.0);
            var price = seconds.Total > 0 ? prices.PerHour(row.Gpu, period.Begin) : 0;
            foreach (var group in groupsOf(period.Endpoint, row))
                Line(stepOf(period.Begin), group).Add(sums, seconds, price);
        }
    }

    private UsageLine Line(DateTimeOffset at, string? group)
    {
        // No group is named by a NUL character.
        var key = (at, group ?? "\0");
        if (!lines.TryGetValue(key, out var line)) lines[key] = line = new UsageLine(at, group);
        return line;
    }
}
