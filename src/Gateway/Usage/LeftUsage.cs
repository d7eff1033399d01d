using Sluice.Domain.Usage;

namespace Sluice.Gateway.Usage;

/// <summary>A batch that a process left in its file.</summary>
/// <param name="Endpoint">The endpoint.</param>
/// <param name="Number">Its number.</param>
/// <param name="Rows">The sums.</param>
internal sealed record LeftUsage(string Endpoint, long Number, IReadOnlyList<(UsageRow Row, UsageSums Sums)> Rows)
{
    /// <summary>
    /// Returns the batches of a file, in the order in which the ledger must count them: for each endpoint the one that
    /// was being sent, with its number, so that it counts once, then the usage after it. Pure.
    /// </summary>
    /// <param name="rows">The rows of the file.</param>
    /// <param name="lastNumber">The number of its last batch.</param>
    /// <param name="isKnown">
    /// Whether the ledger still knows the numbers of the process. If not, batches that were being sent are left out:
    /// they may have been counted.
    /// </param>
    public static IReadOnlyList<LeftUsage> Find(
        IEnumerable<(string Endpoint, UsageRow Row, UsageSlot Slot)> rows, long lastNumber, bool isKnown) =>
        [
            .. rows
                .SelectMany(r => new[]
                {
                    (r.Endpoint, r.Row, r.Slot.Number, Sums: isKnown ? r.Slot.Batch : null),
                    (r.Endpoint, r.Row, Number: lastNumber + 1, Sums: r.Slot.Next),
                })
                .Where(r => r.Sums is not null)
                .GroupBy(r => (r.Endpoint, r.Number))
                .OrderBy(g => g.Key.Number)
                .Select(g => new LeftUsage(g.Key.Endpoint, g.Key.Number, [.. g.Select(r => (r.Row, r.Sums!))])),
        ];
}
