namespace Sluice.Models.Cache;

/// <summary>Decides which models are deleted to make room for another one. Pure.</summary>
public static class EvictionPlan
{
    /// <summary>
    /// Returns the keys to delete, the least recently used first; null: the room cannot be made without a model that is
    /// in use.
    /// </summary>
    /// <param name="entries">What the store has.</param>
    /// <param name="needed">Bytes that the new model needs in addition.</param>
    /// <param name="maxBytes">The limit of the store.</param>
    /// <param name="freeBytes">Free bytes of the disk.</param>
    public static IReadOnlyList<string>? Choose(
        IReadOnlyList<StoreEntry> entries, long needed, long maxBytes, long freeBytes)
    {
        var excess = Math.Max(entries.Sum(e => e.Bytes) + needed - maxBytes, needed - freeBytes);
        var chosen = new List<string>();
        foreach (var entry in entries.Where(e => !e.InUse).OrderBy(e => e.UsedAt).ThenBy(e => e.Key))
        {
            if (excess <= 0) break;
            chosen.Add(entry.Key);
            excess -= entry.Bytes;
        }

        return excess <= 0 ? chosen : null;
    }
}
