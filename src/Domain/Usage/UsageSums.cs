namespace Sluice.Domain.Usage;

/// <summary>Sums of all quantities. Not thread-safe.</summary>
public sealed class UsageSums : IUsageSums
{
    private readonly long[] sums = new long[UsageQuantities.Count];

    /// <summary>The sum of a quantity.</summary>
    public long this[UsageQuantity quantity] => sums[(int)quantity];

    /// <summary>The quantities that are not 0.</summary>
    public IEnumerable<(UsageQuantity Quantity, long Sum)> NonZero
    {
        get
        {
            for (var i = 0; i < sums.Length; i++)
                if (sums[i] != 0) yield return ((UsageQuantity)i, sums[i]);
        }
    }

    /// <summary>Adds to a quantity.</summary>
    public void Add(UsageQuantity quantity, long count) => sums[(int)quantity] += count;

    /// <summary>Adds all quantities of other sums.</summary>
    public void Add(UsageSums other)
    {
        for (var i = 0; i < sums.Length; i++) sums[i] += other.sums[i];
    }
}
