using Sluice.Domain.Usage;
using Sluice.Gateway.Authentication;
using Sluice.Storage.Usage;

namespace Sluice.Gateway.Usage;

/// <summary>Reads reports from the ledger.</summary>
public sealed class UsageReader(UsageLedger ledger, ApiKeyCache keys, TimeProvider time)
{
    /// <summary>Reads a report.</summary>
    public async Task<(PriceTable Prices, IReadOnlyList<UsageLine> Lines)> ReadAsync(
        UsageQuery query, CancellationToken ct)
    {
        var prices = await ledger.PricesAsync(ct);
        var report = new UsageReport(prices, at => query.Step.Begin(at), GroupsOf(query));
        IEnumerable<string> endpoints = query.Endpoint.Length > 0 ? [query.Endpoint] : await ledger.EndpointsAsync(ct);
        // The ledger has hours: an end within an hour includes it.
        var hour = UsageStep.Hour.Begin(query.Until);
        var until = hour < query.Until ? hour.AddHours(1) : query.Until;
        foreach (var endpoint in endpoints)
            foreach (var period in await ledger.ReadAsync(endpoint, query.Since, until, ct)) report.Add(period);
        return (prices, report.Lines);
    }

    /// <summary>Reads the usage of a key in this month.</summary>
    public async Task<KeyUsage> ReadMonthAsync(string key, CancellationToken ct)
    {
        var now = time.GetUtcNow();
        var query = new UsageQuery(
            UsageGroup.Key, UsageStep.Month, UsageStep.Month.Begin(now), now, IsCsv: false, "", key);
        var (prices, lines) = await ReadAsync(query, ct);
        return new KeyUsage(query.Since, prices.Currency, lines.Count > 0 ? UsageView.From(lines[0]) : null);
    }

    private Func<string, UsageRow, IEnumerable<string?>> GroupsOf(UsageQuery query)
    {
        Func<string, UsageRow, IEnumerable<string?>> groups = query.GroupBy switch
        {
            UsageGroup.Key => (_, row) => [row.Key.Length > 0 ? row.Key : null],
            UsageGroup.Endpoint => (endpoint, _) => [endpoint],
            UsageGroup.Model => (_, row) => [row.Model.Length > 0 ? row.Model : null],
            _ => (_, row) => TagsOf(row.Key),
        };
        return query.Key.Length == 0 ? groups : (endpoint, row) => row.Key == query.Key ? groups(endpoint, row) : [];
    }

    private IEnumerable<string?> TagsOf(string key) =>
        keys.FindRecord(key) is { Tags.Count: > 0 } record
            ? record.Tags.Select(t => $"{t.Key}={t.Value}")
            : (IEnumerable<string?>)[null];
}
