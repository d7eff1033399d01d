namespace Sluice.Domain.Usage;

/// <summary>
/// The prices of workers. They are applied when usage is read, so a corrected price corrects earlier costs.
/// </summary>
/// <param name="Currency">The currency of all prices, such as <c>EUR</c>.</param>
/// <param name="Prices">The prices.</param>
public sealed record PriceTable(string Currency, IReadOnlyList<Price> Prices)
{
    /// <summary>The type of a worker without GPUs.</summary>
    public const string Cpu = "cpu";

    /// <summary>No prices.</summary>
    public static PriceTable Empty { get; } = new("", []);

    /// <summary>
    /// Returns the price of an hour of a worker at a time: the latest price of its type that is valid then, times the
    /// number of its devices. Null: its type has no price.
    /// </summary>
    /// <param name="gpu">The devices, as usage is counted (<see cref="UsageRow.Gpu"/>).</param>
    /// <param name="at">The time.</param>
    public double? PerHour(string gpu, DateTimeOffset at)
    {
        var (type, number) = gpu.Length == 0 ? (Cpu, 1) : GpuUse.Parse(gpu);
        Price? valid = null;
        foreach (var price in Prices)
        {
            if (price.From <= at && price.Gpu.Equals(type, StringComparison.OrdinalIgnoreCase)
                && (valid is null || price.From >= valid.From)) valid = price;
        }

        return valid is null ? null : valid.PerHour * number;
    }

    /// <summary>
    /// Returns the price of an hour of workers at a time, and how many of them have no price, which the sum does not
    /// contain. The price is null if there are no prices at all.
    /// </summary>
    /// <param name="gpus">The devices of each worker, as usage is counted (<see cref="UsageRow.Gpu"/>).</param>
    /// <param name="at">The time.</param>
    public (double? PerHour, int Unpriced) Sum(IEnumerable<string> gpus, DateTimeOffset at)
    {
        if (Prices.Count == 0) return (null, 0);
        var (sum, unpriced) = (0.0, 0);
        foreach (var gpu in gpus)
        {
            if (PerHour(gpu, at) is { } price) sum += price;
            else unpriced++;
        }

        return (Math.Round(sum, 6), unpriced);
    }
}

/// <summary>The price of one device, or of a worker without devices, from a time on.</summary>
/// <param name="Gpu">The type, such as <c>H100</c> or <c>A100/1g.10gb</c>; <c>cpu</c>: a worker without GPUs.</param>
/// <param name="From">The time from which it is valid.</param>
/// <param name="PerHour">The price of an hour, in the currency of the table.</param>
public sealed record Price(string Gpu, DateTimeOffset From, double PerHour);
