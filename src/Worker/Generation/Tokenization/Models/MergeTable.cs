using System.Numerics;

namespace Sluice.Worker.Generation.Tokenization.Models;

/// <summary>The merges of a BPE model: pairs of tokens with their rank and the token that replaces them.</summary>
internal sealed class MergeTable
{
    private static readonly ulong Seed = (ulong)Random.Shared.NextInt64() | 1;

    private Slot[] slots;
    private int count;

    /// <param name="tokens">Number of tokens. Each merge results in a token, usually in one that has no other.</param>
    public MergeTable(int tokens) => slots = new Slot[(int)BitOperations.RoundUpToPowerOf2((uint)(2 * tokens + 2))];

    /// <summary>Adds a merge. A later merge of the same pair replaces an earlier one.</summary>
    public void Add(int left, int right, int rank, int merged)
    {
        if (2 * ++count > slots.Length)
        {
            var old = slots;
            slots = new Slot[old.Length * 2];
            foreach (var slot in old)
                if (slot.Merged != 0) Place(slot);
        }

        Place(new Slot(Key(left, right), rank, merged + 1));
    }

    /// <summary>Returns the rank of a pair, and the token that replaces it, or -1 if the pair is not merged.</summary>
    public (int Rank, int Merged) Find(int left, int right)
    {
        var key = Key(left, right);
        var mask = slots.Length - 1;
        for (var i = Index(key, mask); slots[i].Merged != 0; i = (i + 1) & mask)
            if (slots[i].Key == key) return (slots[i].Rank, slots[i].Merged - 1);
        return (-1, -1);
    }

    private static ulong Key(int left, int right) => ((ulong)(uint)left << 32) | (uint)right;

    private static int Index(ulong key, int mask)
    {
        var hash = (key ^ Seed) * 0x9E3779B97F4A7C15;
        hash = (hash ^ (hash >> 32)) * Seed;
        return (int)(hash >> 33) & mask;
    }

    private void Place(Slot slot)
    {
        var mask = slots.Length - 1;
        var i = Index(slot.Key, mask);
        while (slots[i].Merged != 0 && slots[i].Key != slot.Key) i = (i + 1) & mask;
        slots[i] = slot;
    }

    /// <param name="Key">Both tokens.</param>
    /// <param name="Rank">Merges with a lower rank are done first.</param>
    /// <param name="Merged">One more than the token that replaces the pair; 0 if the slot is free.</param>
    private readonly record struct Slot(ulong Key, int Rank, int Merged);
}
