using Sluice.Domain.Fleet;
using Sluice.Domain.Jobs;
using Sluice.Storage.Queueing;

namespace Sluice.Storage.Tests.Dispatch;

/// <summary>
/// The expected behavior of dispatch, in memory: the scripts are compared with it. Lease expiry and deadlines are flags
/// here; the test gives the scripts lengths of zero or one hour.
/// </summary>
internal sealed class DispatchModel
{
    private readonly Dictionary<string, double> finish = [];
    private double vtime;
    private long seq;
    private string? kept;

    public Dictionary<string, (int Capacity, bool Ready)> Pods { get; } = [];

    public Dictionary<(string Holder, string Pod), int> Held { get; } = [];

    /// <summary>How many tokens pods can hold.</summary>
    public Dictionary<string, TokenCapacity> Limits { get; } = [];

    /// <summary>Tokens in flight.</summary>
    public Dictionary<(string Holder, string Pod), long> Tokens { get; } = [];

    public Dictionary<string, bool> LeaseExpired { get; } = [];

    public List<Waiting> Queue { get; } = [];

    public List<(Waiting Ticket, string Pod)> Grants { get; } = [];

    /// <summary>Jobs, in the order of their submission.</summary>
    public Dictionary<string, ModelJob> Jobs { get; } = [];

    /// <summary>Running jobs in the order of the Redis hash: the order of their claims.</summary>
    public List<string> Running { get; } = [];

    /// <summary>Whether a block is stored: no worker can start.</summary>
    public bool Blocked { get; private set; }

    /// <summary>The number of requests that were rejected because of the block.</summary>
    public int Refused { get; private set; }

    public void Block()
    {
        Blocked = true;
        Refused += Queue.Count(w => w.Holder != Job);
    }

    public void Unblock() => Blocked = false;

    /// <summary>The number of isolated tickets, which are the first of the queue.</summary>
    public int Isolated => Queue.Count(w => w.Isolated);

    public int Free(string pod) => Pods[pod].Capacity - Held.Where(h => h.Key.Pod == pod).Sum(h => h.Value);

    public bool Fits(string pod, long tokens) => !Limits.TryGetValue(pod, out var limit) || tokens == 0
        || TokensAt(pod) + limit.Charge(tokens) <= limit.Tokens;

    private long TokensAt(string pod) => Tokens.Where(t => t.Key.Pod == pod).Sum(t => t.Value);

    private long Charge(string pod, long tokens) => Limits.GetValueOrDefault(pod)?.Charge(tokens) ?? 0;

    /// <summary>
    /// Returns null for a lost lease; otherwise the result of each ticket: a pod, "queued", "full", "blocked".
    /// </summary>
    public List<string>? Acquire(string holder, bool fresh, bool expired, int maxDepth, int spare,
        IReadOnlyList<(string Id, string Flow, bool Late, int Front, long Tokens)> tickets,
        PreferredWorker? preferred = null)
    {
        if (!fresh && !LeaseExpired.ContainsKey(holder)) return null;
        LeaseExpired[holder] = expired;
        var got = new List<string>();
        foreach (var t in tickets)
        {
            if (Queue.Count == 0 && t.Front < 2 && Take(holder, t.Tokens, null, preferred) is { } pod) got.Add(pod);
            else if (Blocked && Pods.Count == 0)
            {
                Refused++;
                got.Add("blocked");
            }
            else if (Queue.Count(w => w.Holder != Job) >= maxDepth && t.Front == 0) got.Add("full");
            else
            {
                Enqueue(holder, t.Id, t.Flow, t.Late, t.Front, t.Tokens);
                got.Add("queued");
            }
        }

        for (var i = 0; i < spare && Queue.Count == 0; i++)
            if (Take(holder, 0) is null) break;
        return got;
    }

    /// <summary>
    /// Returns the granted tickets of the holder, with their pods. Jobs that it claimed are added to
    /// <paramref name="claimed"/>.
    /// </summary>
    public List<(string Id, string Pod)> Release(string holder, IEnumerable<SlotCount> slots,
        List<(string Id, Fence Fence, string Pod, string Why)>? claimed = null, string token = "")
    {
        if (LeaseExpired.ContainsKey(holder))
            foreach (var (pod, count, tokens) in slots)
            {
                SetHeld(holder, pod, Held.GetValueOrDefault((holder, pod)) - count);
                AddTokens(holder, pod, -tokens);
            }

        var mine = new List<(string, string)>();
        var withheld = GrantIsolated(holder, claimed, token, mine);
        while (Queue.Count > Isolated
            && Grant(holder, Queue[Isolated], claimed, token, mine,
                (owner, tokens) => Take(owner, tokens, withheld)))
        {
            // Continue with the next ticket.
        }

        return mine;
    }

    /// <summary>Returns the worker that isolated tickets wait for.</summary>
    private string? GrantIsolated(
        string holder,
        List<(string, Fence, string, string)>? claimed,
        string token,
        List<(string, string)> mine)
    {
        var (waiting, others) = (Queue.Where(w => w.Isolated).ToList(), Queue.Count > Isolated);
        if (waiting.Count == 0) return null;
        var ready = Pods.Keys.Where(IsReady).OrderByDescending(p => p, StringComparer.Ordinal).ToList();
        if (kept is null || !ready.Contains(kept)) kept = ready.MinBy(p => Pods[p].Capacity - Free(p));
        foreach (var ticket in waiting) Grant(holder, ticket, claimed, token, mine, Whole);
        if (Isolated == 0) kept = null;
        return kept;

        string? Whole(string owner, long tokens)
        {
            var pod = ready.Find(p => (p == kept || !others) && Free(p) > 0 && Free(p) == Pods[p].Capacity);
            if (pod is not null) SetHeld(owner, pod, Held.GetValueOrDefault((owner, pod)) + Pods[pod].Capacity);
            return pod;
        }
    }

    /// <summary>Returns false if the ticket has to wait, together with the tickets behind it.</summary>
    private bool Grant(
        string holder,
        Waiting head,
        List<(string, Fence, string, string)>? claimed,
        string token,
        List<(string, string)> mine,
        Func<string, long, string?> take)
    {
        if (head.Holder == Job)
            return claimed is not null && LeaseExpired.ContainsKey(holder) && Claim(holder, head, claimed, token, take);
        if (!head.Late && LeaseExpired.ContainsKey(head.Holder))
        {
            if (take(head.Holder, head.Tokens) is not { } pod) return false;
            if (head.Holder == holder) mine.Add((head.Id, pod));
            else Grants.Add((head, pod));
        }

        Queue.Remove(head);
        if (head.Tag >= 0) vtime = head.Tag;
        return true;
    }

    /// <summary>
    /// Applies a holder's report. Slots that Redis counts in addition to it and to unaccepted grants are freed.
    /// </summary>
    public bool Renew(
        string holder,
        IReadOnlyDictionary<string, SlotCount> own,
        IReadOnlyCollection<string> accepted,
        IReadOnlyCollection<string> named,
        string token)
    {
        if (!LeaseExpired.ContainsKey(holder)) return false;
        var orphans = Orphans(holder, named);
        foreach (var orphan in orphans) orphan.Token = token;
        Grants.RemoveAll(g => accepted.Contains(g.Ticket.Id));
        var granted = Grants.Where(g => g.Ticket.Holder == holder).Select(g => g.Pod);
        var held = Held.Keys.Where(k => k.Holder == holder).Select(k => k.Pod);
        var claimed = orphans.Select(o => o.Pod).Where(p => p.Length > 0);
        foreach (var pod in held.Concat(own.Keys).Concat(granted).Concat(claimed).Distinct().ToList())
        {
            var open = Grants.Where(g => g.Ticket.Holder == holder && g.Pod == pod)
                .Sum(g => SlotsOf(g.Ticket.Isolated, pod))
                + orphans.Where(o => o.Pod == pod).Sum(o => SlotsOf(o.Isolated, pod));
            var known = Held.ContainsKey((holder, pod));
            if (!known && !IsReady(pod)) continue;
            var count = own.GetValueOrDefault(pod).Slots + open;
            SetHeld(holder, pod, count);
            var tokens = own.GetValueOrDefault(pod).Tokens
                + Grants.Where(g => g.Ticket.Holder == holder && g.Pod == pod).Sum(g => ChargeOf(g.Ticket, pod))
                + orphans.Where(o => o.Pod == pod && !o.Isolated).Sum(o => Charge(pod, o.Tokens));
            SetTokens(holder, pod, count > 0 && Limits.ContainsKey(pod) ? tokens : 0);
        }

        LeaseExpired[holder] = false;
        return true;
    }

    public const string Job = "job";

    /// <summary>Returns jobs that a holder has claimed and does not report.</summary>
    public List<ModelJob> Orphans(string holder, IReadOnlyCollection<string> known) =>
        [.. Running.Select(id => Jobs[id]).Where(j => j.Holder == holder && !known.Contains($"{j.Id}|{j.Fence}"))];

    public void Submit(string id, string flow, bool late, int max, long tokens)
    {
        Jobs[id] = new ModelJob(id) { Max = max, Late = late, Tokens = tokens };
        Enqueue(Job, id, flow, late, front: 0, tokens);
    }

    /// <summary>Returns whether the fence accepted the end.</summary>
    public bool End(string id, Fence fence, string status)
    {
        // A repeated end of an attempt is the same end.
        if (Jobs[id] is not { Status: "IN_PROGRESS" } job || job.Fence != fence)
            return Jobs[id].Status == status && Jobs[id].EndedBy == fence;
        job.Status = status;
        job.EndedBy = fence;
        Running.Remove(id);
        return true;
    }

    public bool Cancel(string id)
    {
        var job = Jobs[id];
        if (job.Status is not ("IN_QUEUE" or "IN_PROGRESS")) return false;
        job.Status = "CANCELLED";
        Running.Remove(id);
        Queue.RemoveAll(w => w.Id == id);
        return true;
    }

    /// <param name="id">The job.</param>
    /// <param name="fence">The fence of the attempt that ended.</param>
    /// <param name="loss">What the attempt lost; null: its gateway.</param>
    public bool Requeue(string id, Fence fence, AttemptLoss? loss)
    {
        if (Jobs[id] is not { Status: "IN_PROGRESS" } job || job.Fence != fence) return false;
        Running.Remove(id);
        job.Status = "IN_QUEUE";
        var counts = loss switch
        {
            AttemptLoss.Free => false,
            AttemptLoss.Counted or AttemptLoss.Alone => true,
            AttemptLoss.Shared => job.Isolated || job.Max == 1,
            _ => job.Isolated || job.Max == 1 || job.Runs < job.Max || job.Pod.Length == 0,
        };
        if (!counts && job.Pod.Length > 0) job.Runs--;
        job.Isolated = job.Isolated || loss is AttemptLoss.Alone or AttemptLoss.Shared || (loss is null && !counts);
        Queue.Add(new Waiting(job.Isolated ? -2 : -1, ++seq, Job, id, job.Late, job.Tokens));
        Sort();
        return true;
    }

    public void Abandon(string id)
    {
        Queue.RemoveAll(w => w.Id == id);
        var i = Grants.FindIndex(g => g.Ticket.Id == id);
        if (i < 0) return;
        var (ticket, pod) = Grants[i];
        Grants.RemoveAt(i);
        SetHeld(ticket.Holder, pod, Held.GetValueOrDefault((ticket.Holder, pod)) - SlotsOf(ticket.Isolated, pod));
        AddTokens(ticket.Holder, pod, -ChargeOf(ticket, pod));
    }

    public void Up(string pod, int capacity, TokenCapacity? limit)
    {
        if (IsReady(pod)) return;
        Pods[pod] = (capacity, true);
        if (limit is null) Limits.Remove(pod);
        else Limits[pod] = limit;
    }

    public void Drain(string pod)
    {
        if (IsReady(pod)) Pods[pod] = Pods[pod] with { Ready = false };
    }

    public void Down(string pod)
    {
        Pods.Remove(pod);
        Limits.Remove(pod);
        foreach (var key in Held.Keys.Where(k => k.Pod == pod).ToList()) Held.Remove(key);
        foreach (var key in Tokens.Keys.Where(k => k.Pod == pod).ToList()) Tokens.Remove(key);
    }

    public void Reap()
    {
        var dead = LeaseExpired.Where(l => l.Value).Select(l => l.Key).ToList();
        foreach (var holder in dead)
        {
            LeaseExpired.Remove(holder);
            foreach (var key in Held.Keys.Where(k => k.Holder == holder).ToList()) Held.Remove(key);
            foreach (var key in Tokens.Keys.Where(k => k.Holder == holder).ToList()) Tokens.Remove(key);
            Grants.RemoveAll(g => g.Ticket.Holder == holder);
            Queue.RemoveAll(w => w.Holder == holder);
        }

        foreach (var id in Running.Where(id => !LeaseExpired.ContainsKey(Jobs[id].Holder)).ToList())
            Requeue(id, Jobs[id].Fence, null);
    }

    private bool IsReady(string pod) => Pods.TryGetValue(pod, out var p) && p.Ready;

    private bool Claim(
        string holder,
        Waiting head,
        List<(string, Fence, string, string)> claimed,
        string token,
        Func<string, long, string?> take)
    {
        var job = Jobs[head.Id];
        var why = head.Late ? "expired" : job.Runs >= job.Max ? "exhausted" : "";
        var pod = why.Length > 0 ? "" : take(holder, job.Tokens);
        if (pod is null) return false;
        Queue.Remove(head);
        if (head.Tag >= 0) vtime = head.Tag;
        (job.Status, job.Holder, job.Pod) = ("IN_PROGRESS", holder, pod);
        job.Attempt++;
        job.Token = token;
        if (pod.Length > 0) job.Runs++;
        Running.Add(job.Id);
        claimed.Add((job.Id, job.Fence, pod, why.Length == 0 && head.Isolated ? "isolated" : why));
        return true;
    }

    private int SlotsOf(bool isolated, string pod) =>
        isolated && Pods.TryGetValue(pod, out var known) ? known.Capacity : 1;

    private string? Take(
        string holder, long tokens, string? withheld = null, PreferredWorker? preferred = null)
    {
        var pod = Pods.Where(p => p.Value.Ready && p.Key != withheld && Fits(p.Key, tokens))
            .Select(p => p.Key).OrderByDescending(Free)
            .ThenByDescending(p => p, StringComparer.Ordinal).FirstOrDefault();
        if (pod is null || Free(pod) < 1) return null;
        if (preferred is not null && Pods.TryGetValue(preferred.PodId, out var wanted) && wanted.Ready
            && Fits(preferred.PodId, tokens)
            && Free(preferred.PodId) is > 0 and var free && free + preferred.Margin >= Free(pod))
            pod = preferred.PodId;
        SetHeld(holder, pod, Held.GetValueOrDefault((holder, pod)) + 1);
        AddTokens(holder, pod, Charge(pod, tokens));
        return pod;
    }

    private void Enqueue(string holder, string id, string flow, bool late, int front, long tokens)
    {
        if (Queue.Count == 0) finish.Clear();
        var tag = front > 0 ? -front : Math.Max(vtime, finish.GetValueOrDefault(flow));
        if (front == 0) finish[flow] = tag + 1;
        Queue.Add(new Waiting(tag, ++seq, holder, id, late, tokens));
        Sort();
    }

    private void Sort() => Queue.Sort((a, b) => a.Tag != b.Tag ? a.Tag.CompareTo(b.Tag) : a.Seq.CompareTo(b.Seq));

    private void SetHeld(string holder, string pod, int count)
    {
        if (count <= 0)
        {
            // The last slot returns all tokens that are left.
            Held.Remove((holder, pod));
            Tokens.Remove((holder, pod));
        }
        else
        {
            Held[(holder, pod)] = count;
        }
    }

    private long ChargeOf(Waiting ticket, string pod) => ticket.Isolated ? 0 : Charge(pod, ticket.Tokens);

    private void AddTokens(string holder, string pod, long tokens) =>
        SetTokens(holder, pod, Tokens.GetValueOrDefault((holder, pod)) + tokens);

    private void SetTokens(string holder, string pod, long tokens)
    {
        if (tokens <= 0) Tokens.Remove((holder, pod));
        else Tokens[(holder, pod)] = tokens;
    }

    internal sealed class ModelJob(string id)
    {
        public string Id => id;

        public string Status { get; set; } = "IN_QUEUE";

        public int Attempt { get; set; }

        public string Token { get; set; } = "";

        public Fence Fence => new(Attempt, Token);

        public Fence? EndedBy { get; set; }

        public int Runs { get; set; }

        public int Max { get; init; }

        public bool Late { get; init; }

        public long Tokens { get; init; }

        public bool Isolated { get; set; }

        public string Holder { get; set; } = "";

        public string Pod { get; set; } = "";
    }

    internal sealed record Waiting(double Tag, long Seq, string Holder, string Id, bool Late, long Tokens)
    {
        public bool Isolated => Tag == -2;
    }
}
