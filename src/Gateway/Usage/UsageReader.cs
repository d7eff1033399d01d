using System.Collections.Concurrent;
using Sluice.Domain.Usage;
using Sluice.Gateway.Authentication;
using Sluice.Storage.Usage;

namespace Sluice.Gateway.Usage;

/// <summary>Reads reports from the ledger.</summary>
public sealed class UsageReader(UsageLedger ledger, ApiKeyCache keys, TimeProvider time)
{
    /// <summary>How long the usage of a key is kept: each key may ask for its own as often as it likes.</summary>
    private static readonly TimeSpan OwnAge = TimeSpan.FromSeconds(5);

    /// <summary>Maximum number of kept results.</summary>
    private const int MostOwn = 1000;

    private readonly ConcurrentDictionary<string, (long At, Task<KeyUsage> Usage)> own = new(StringComparer.Ordinal);

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

    /// <summary>Returns the usage of a key in this month, as it was at most <see cref="OwnAge"/> ago.</summary>
    public Task<KeyUsage> ReadMonthAsync(string key, CancellationToken ct)
    {
        if (own.TryGetValue(key, out var kept) && time.GetElapsedTime(kept.At) < OwnAge && !kept.Usage.IsFaulted)
            return kept.Usage.WaitAsync(ct);
        if (own.Count >= MostOwn) own.Clear();
        // Other readers wait for the same result, so it does not end with its first reader.
        var read = ReadMonthAsync(key);
        own[key] = (time.GetTimestamp(), read);
        return read.WaitAsync(ct);
    }

    private async Task<KeyUsage> ReadMonthAsync(string key)
    {
        var now = time.GetUtcNow();
        var query = new UsageQuery(
            UsageGroup.Key, UsageStep.Month, UsageStep.Month.Begin(now), now, IsCsv: false, "", key);
        var (prices, lines) = await ReadAsync(query, CancellationToken.None);
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
