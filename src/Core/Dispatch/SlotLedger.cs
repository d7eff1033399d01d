namespace Sluice.Core.Dispatch;

/// <summary>
/// The slots that this gateway holds of one endpoint under its present lease: idle ones to give out, and those in use.
/// Plain data; its owner guards it.
/// </summary>
internal sealed class SlotLedger
{
    private readonly Dictionary<string, Held> pods = [];

    /// <summary>Slots ready to be given out.</summary>
    public int Idle { get; private set; }

    /// <summary>True when Redis counts any slot to this lease.</summary>
    public bool Any => pods.Count > 0;

    public WorkerAddress? Address(string pod) => pods.GetValueOrDefault(pod)?.Worker;

    /// <summary>Whether slots of ours at this worker may be given out.</summary>
    public bool IsOpen(string pod) => pods.TryGetValue(pod, out var held) && !held.Closed;

    /// <summary>Books slots that Redis granted: in use at once, or idle.</summary>
    public WorkerUse Add(WorkerAddress worker, int inUse, int idle)
    {
        if (!pods.TryGetValue(worker.PodId, out var held)) pods[worker.PodId] = held = new Held(worker);
        held.Closed = false;
        held.InUse += inUse;
        held.Idle += idle;
        Idle += idle;
        return held.Use;
    }

    /// <summary>Gives out an idle slot of the worker that has the fewest of ours in use.</summary>
    public WorkerUse? Take()
    {
        if (Idle == 0) return null;
        Held? best = null;
        foreach (var held in pods.Values)
            if (held is { Idle: > 0, Closed: false } && (best is null || held.InUse < best.InUse)) best = held;
        if (best is null) return null;
        best.Idle--;
        best.LowIdle = Math.Min(best.LowIdle, best.Idle);
        best.InUse++;
        Idle--;
        return best.Use;
    }

    /// <summary>Takes a slot in use back as idle; false when its worker takes no more requests.</summary>
    public bool MakeIdle(string pod)
    {
        if (!pods.TryGetValue(pod, out var held) || held.Closed) return false;
        held.InUse--;
        held.Idle++;
        Idle++;
        return true;
    }

    /// <summary>Strikes slots in use off; false when they are not booked here.</summary>
    public bool Remove(string pod, int count)
    {
        if (!pods.TryGetValue(pod, out var held) || held.InUse < count) return false;
        held.InUse -= count;
        DropIfEmpty(held);
        return true;
    }

    /// <summary>The worker takes no more requests: its idle slots are struck off and returned as a number.</summary>
    public int Close(string pod)
    {
        if (!pods.TryGetValue(pod, out var held)) return 0;
        held.Closed = true;
        var idle = held.Idle;
        Idle -= idle;
        held.Idle = 0;
        DropIfEmpty(held);
        return idle;
    }

    /// <summary>The worker is gone: nothing of it is held any more.</summary>
    public void Forget(string pod)
    {
        if (!pods.Remove(pod, out var held)) return;
        Idle -= held.Idle;
    }

    /// <summary>Strikes off all idle slots.</summary>
    public List<KeyValuePair<string, int>> TakeAllIdle() => TakeIdle(held => held.Idle);

    /// <summary>Strikes off the idle slots that were not needed since the last call.</summary>
    public List<KeyValuePair<string, int>> TakeUnused()
    {
        var unused = TakeIdle(held => Math.Min(held.LowIdle, held.Idle));
        foreach (var held in pods.Values) held.LowIdle = held.Idle;
        return unused;
    }

    /// <summary>All slots by pod, idle and in use: the gateway's own account.</summary>
    public List<KeyValuePair<string, int>> Account() =>
        [.. pods.Select(p => KeyValuePair.Create(p.Key, p.Value.Idle + p.Value.InUse))];

    public void Clear()
    {
        pods.Clear();
        Idle = 0;
    }

    private List<KeyValuePair<string, int>> TakeIdle(Func<Held, int> count)
    {
        var taken = new List<KeyValuePair<string, int>>();
        foreach (var (pod, held) in pods)
        {
            var n = count(held);
            if (n == 0) continue;
            held.Idle -= n;
            Idle -= n;
            taken.Add(KeyValuePair.Create(pod, n));
        }

        foreach (var (pod, _) in taken) DropIfEmpty(pods[pod]);
        return taken;
    }

    private void DropIfEmpty(Held held)
    {
        if (held.Idle + held.InUse == 0) pods.Remove(held.Worker.PodId);
    }

    private sealed class Held(WorkerAddress worker)
    {
        public WorkerUse Use { get; } = new(worker);

        public WorkerAddress Worker => worker;

        public int Idle { get; set; }

        /// <summary>Fewest idle slots since the last <see cref="TakeUnused"/>.</summary>
        public int LowIdle { get; set; }

        public int InUse { get; set; }

        public bool Closed { get; set; }
    }
}
