using System.IO.MemoryMappedFiles;
using Sluice.Domain.Usage;

namespace Sluice.Gateway.Usage;

/// <summary>
/// The sums of one row that the ledger has not confirmed: those of the batch that is being sent, and those after it.
/// A process that is killed at any instruction leaves sums from which its successor counts each use once: one write
/// turns the current sums into a batch, and a batch that was confirmed may be left in part, because a repeated batch
/// counts nothing. Not thread-safe.
/// </summary>
internal sealed class UsageSlot : IUsageSums
{
    /// <summary>Indexes of the words: which of the two sums are current, and the number of the batch.</summary>
    private const int CurrentWord = 0, NumberWord = 1, FirstSum = 2;

    private static readonly int Words = FirstSum + (2 * UsageQuantities.Count);

    /// <summary>The size of the sums in bytes.</summary>
    public static readonly int Size = Words * sizeof(long);

    private readonly MemoryMappedViewAccessor? view;
    private readonly long at;
    private readonly long[] memory = [];

    /// <summary>Creates a slot in memory, which nothing keeps.</summary>
    public UsageSlot() => memory = new long[Words];

    /// <summary>Creates a slot in a file, with the sums that it contains.</summary>
    /// <param name="view">The file.</param>
    /// <param name="at">The position of the sums.</param>
    public UsageSlot(MemoryMappedViewAccessor view, long at) => (this.view, this.at) = (view, at);

    /// <summary>The number of the batch that is being sent. Undefined without a batch.</summary>
    public long Number => this[NumberWord];

    /// <summary>The sums of the batch that is being sent; null: there is none.</summary>
    public UsageSums? Batch => SumsOf(1 - Current);

    /// <summary>The sums after the batch; null: nothing was used.</summary>
    public UsageSums? Next => SumsOf(Current);

    /// <summary>The position of the sums in the file.</summary>
    public long Position => at;

    private int Current => (int)this[CurrentWord];

    private long this[int word]
    {
        get => view is null ? memory[word] : view.ReadInt64(at + (word * sizeof(long)));
        set
        {
            if (view is null) memory[word] = value;
            else view.Write(at + (word * sizeof(long)), value);
        }
    }

    public void Add(UsageQuantity quantity, long count)
    {
        if (count != 0) this[WordOf(Current, quantity)] += count;
    }

    /// <summary>Turns the sums after the last batch into a batch, and returns them. Null: nothing was used.</summary>
    /// <param name="number">The number of the batch. The batch before it was confirmed.</param>
    public UsageSums? Take(long number)
    {
        if (Next is not { } sums) return null;
        this[NumberWord] = number;
        Interlocked.MemoryBarrier();
        this[CurrentWord] = 1 - Current;
        return sums;
    }

    /// <summary>Removes the batch, which the ledger has counted.</summary>
    public void Confirm()
    {
        for (var i = 0; i < UsageQuantities.Count; i++) this[WordOf(1 - Current, (UsageQuantity)i)] = 0;
    }

    private UsageSums? SumsOf(int which)
    {
        UsageSums? sums = null;
        for (var i = 0; i < UsageQuantities.Count; i++)
            if (this[WordOf(which, (UsageQuantity)i)] is not 0 and var sum)
                (sums ??= new UsageSums()).Add((UsageQuantity)i, sum);
        return sums;
    }

    private static int WordOf(int which, UsageQuantity quantity) =>
        FirstSum + (which * UsageQuantities.Count) + (int)quantity;
}
