namespace Sluice.Domain.Usage;

/// <summary>Sums of quantities to which usage can be added.</summary>
public interface IUsageSums
{
    /// <summary>Adds to a quantity.</summary>
    void Add(UsageQuantity quantity, long count);
}
