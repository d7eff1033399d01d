using Sluice.Domain.Fleet;
using Sluice.Storage.Queueing;

namespace Sluice.Dispatch;

/// <summary>
/// Tracks the slots of one endpoint that this gateway holds under its current lease: idle slots and slots in use. Not
/// thread-safe: the owner synchronizes access.
/// </summary>
internal sealed class LeasedSlots
{
    private readonly Dictionary<string, Held> pods = [];

    /// <summary>The number of slots that can be assigned.</summary>
    public int Idle { get; private set; }

    /// <summary>Whether Redis counts any slot for this lease.</summary>
    public bool HasSlots => pods.Count > 0;

    /// <summary>Whether any worker of the endpoint has reported how many tokens it can hold.</summary>
    public bool HasTokenLimits { get; private set; }

    public WorkerAddress? Address(string pod) => pods.GetValueOrDefault(pod)?.Worker;

    /// <summary>Whether the slots of this gateway at the worker may be assigned.</summary>
    public bool IsOpen(string pod) => pods.TryGetValue(pod, out var held) && !held.IsClosed;

    /// <summary>Adds slots that Redis granted, in use or idle.</summary>
    public WorkerUse Add(WorkerAddress worker, int inUse, int idle)
    {
        if (!pods.TryGetValue(worker.PodId, out var held)) pods[worker.PodId] = held = new Held(worker);
        held.IsClosed = false;
        HasTokenLimits |= worker.Cache is not null;
        held.InUse += inUse;
        held.Idle += idle;
        Idle += idle;
        return held.Use;
    }

    /// <summary>
    /// Takes an idle slot of the preferred worker, or of the one with the fewest slots in use by this gateway. Only
    /// Redis knows whether a worker with a limit of tokens has room for a text.
    /// </summary>
    public WorkerUse? TakeIdleSlot(PreferredWorker? preferred = null, bool hasTokens = false)
    {
        if (FindLeastBusy(hasTokens) is not { } best) return null;
        if (preferred is not null && pods.TryGetValue(preferred.PodId, out var wanted)
            && wanted is { Idle: > 0, IsClosed: false } && IsAllowed(wanted, hasTokens)
            && !preferred.IsTooBusy(wanted.InUse, best.InUse))
            best = wanted;
        best.Idle--;
        best.LowIdle = Math.Min(best.LowIdle, best.Idle);
        best.InUse++;
        Idle--;
        return best.Use;
    }

    /// <summary>
    /// Removes an idle slot if only Redis can have one of the preferred worker, so that it can be exchanged for that.
    /// Returns its worker; null: the preferred worker has an idle slot here, or is too busy, or no slot is idle.
    /// </summary>
    public string? TakeForExchange(PreferredWorker preferred, bool hasTokens = false)
    {
        if (FindLeastBusy(hasTokens) is not { } best || best.Worker.PodId == preferred.PodId) return null;
        if (pods.TryGetValue(preferred.PodId, out var wanted)
            && (wanted.Idle > 0 || wanted.IsClosed || wanted.InUse >= wanted.Worker.Concurrency
                || preferred.IsTooBusy(wanted.InUse, best.InUse)))
            return null;
        best.Idle--;
        best.LowIdle = Math.Min(best.LowIdle, best.Idle);
        Idle--;
        DropIfEmpty(best);
        return best.Worker.PodId;
    }

    /// <summary>Makes a slot in use idle. Returns false if its worker is closed.</summary>
    public bool MakeIdle(string pod)
    {
        if (!pods.TryGetValue(pod, out var held) || held.IsClosed) return false;
        held.InUse--;
        held.Idle++;
        Idle++;
        return true;
    }

    /// <summary>Removes slots in use. Returns false if they are not tracked here.</summary>
    public bool Remove(string pod, int count)
    {
        if (!pods.TryGetValue(pod, out var held) || held.InUse < count) return false;
        held.InUse -= count;
        DropIfEmpty(held);
        return true;
    }

    /// <summary>Closes a worker for new requests: removes its idle slots and returns their number.</summary>
    public int Close(string pod)
    {
        if (!pods.TryGetValue(pod, out var held)) return 0;
        held.IsClosed = true;
        var idle = held.Idle;
        Idle -= idle;
        held.Idle = 0;
        DropIfEmpty(held);
        return idle;
    }

    /// <summary>Removes a worker that is gone, with all its slots.</summary>
    public void Forget(string pod)
    {
        if (!pods.Remove(pod, out var held)) return;
        Idle -= held.Idle;
    }

    /// <summary>Removes and returns all idle slots.</summary>
    public List<SlotCount> TakeAllIdle() => TakeIdle(held => held.Idle);

    /// <summary>Removes and returns the idle slots that were not needed since the last call.</summary>
    public List<SlotCount> TakeUnused()
    {
        var unused = TakeIdle(held => Math.Min(held.LowIdle, held.Idle));
        foreach (var held in pods.Values) held.LowIdle = held.Idle;
        return unused;
    }

    /// <summary>Returns the slots per pod, idle and in use.</summary>
    /// <param name="tokens">Returns the tokens of a pod.</param>
    public List<SlotCount> Account(Func<string, long> tokens) =>
        [.. pods.Select(p => new SlotCount(p.Key, p.Value.Idle + p.Value.InUse, tokens(p.Key)))];

    public void Clear()
    {
        pods.Clear();
        Idle = 0;
    }

    private List<SlotCount> TakeIdle(Func<Held, int> count)
    {
        var taken = new List<SlotCount>();
        foreach (var (pod, held) in pods)
        {
            var n = count(held);
            if (n == 0) continue;
            held.Idle -= n;
            Idle -= n;
            taken.Add(new SlotCount(pod, n));
        }

        foreach (var (pod, _, _) in taken) DropIfEmpty(pods[pod]);
        return taken;
    }

    /// <summary>Returns the worker with an idle slot and the fewest slots in use by this gateway.</summary>
    /// <param name="hasTokens">Whether the request generates text.</param>
    private Held? FindLeastBusy(bool hasTokens)
    {
        if (Idle == 0) return null;
        Held? best = null;
        foreach (var held in pods.Values)
            if (held is { Idle: > 0, IsClosed: false } && IsAllowed(held, hasTokens)
                && (best is null || held.InUse < best.InUse)) best = held;
        return best;
    }

    private static bool IsAllowed(Held held, bool hasTokens) => !hasTokens || held.Worker.Cache is null;

    private void DropIfEmpty(Held held)
    {
        if (held.Idle + held.InUse == 0) pods.Remove(held.Worker.PodId);
    }

    private sealed class Held(WorkerAddress worker)
    {
        public WorkerUse Use { get; } = new(worker);

        public WorkerAddress Worker => worker;

        public int Idle { get; set; }

        /// <summary>The lowest number of idle slots since the last <see cref="TakeUnused"/>.</summary>
        public int LowIdle { get; set; }

        public int InUse { get; set; }

        public bool IsClosed { get; set; }
    }
}
