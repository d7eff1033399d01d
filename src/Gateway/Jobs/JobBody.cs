using Sluice.Gateway.Http;

namespace Sluice.Gateway.Jobs;

/// <summary>A body in memory. Dispose returns its bytes to the budget.</summary>
public sealed class JobBody(ByteBudget budget) : IDisposable
{
    private long reserved;

    /// <summary>The complete body.</summary>
    public ReadOnlyMemory<byte> Bytes { get; internal set; }

    public void Dispose()
    {
        budget.Return(reserved);
        reserved = 0;
    }

    /// <summary>
    /// Increases the reserved budget to <paramref name="bytes"/>. Returns false if the budget is exhausted.
    /// </summary>
    internal bool TryGrow(long bytes)
    {
        if (!budget.TryTake(bytes - reserved)) return false;
        reserved = bytes;
        return true;
    }
}
