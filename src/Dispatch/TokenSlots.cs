namespace Sluice.Dispatch;

/// <summary>
/// Tracks the slots in use of one endpoint whose workers are charged tokens for them. Not thread-safe: the owner
/// synchronizes access.
/// </summary>
internal sealed class TokenSlots
{
    private readonly Dictionary<string, HashSet<Slot>> pods = [];

    /// <summary>Adds a slot; slots without tokens are ignored.</summary>
    public void Add(Slot slot)
    {
        if (slot.Tokens == 0) return;
        var pod = slot.Worker.PodId;
        if (!pods.TryGetValue(pod, out var slots)) pods[pod] = slots = [];
        slots.Add(slot);
    }

    /// <summary>Removes a slot whose use has ended.</summary>
    public void Remove(Slot slot)
    {
        if (!pods.TryGetValue(slot.Worker.PodId, out var slots)) return;
        slots.Remove(slot);
        if (slots.Count == 0) pods.Remove(slot.Worker.PodId);
    }

    /// <summary>Removes the slots of a worker that is gone.</summary>
    public void Forget(string pod) => pods.Remove(pod);

    /// <summary>Removes all slots: their lease is lost.</summary>
    public void Clear() => pods.Clear();

    /// <summary>Counts the tokens of the slots of a worker again, and returns their sum.</summary>
    public long Recount(string pod) =>
        pods.TryGetValue(pod, out var slots) ? slots.Sum(slot => slot.Recount()) : 0;
}
