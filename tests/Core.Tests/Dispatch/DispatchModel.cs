using Sluice.Core.Dispatch;
using Sluice.Core.Jobs;

namespace Sluice.Core.Tests.Dispatch;

/// <summary>
/// Dispatch as it should be, in plain memory: what the scripts are compared with. Lease expiry and deadlines are flags
/// here; the test gives the scripts lengths of zero or an hour.
/// </summary>
internal sealed class DispatchModel
{
    private readonly Dictionary<string, double> finish = [];
    private double vtime;
    private long seq;

    public Dictionary<string, (int Capacity, bool Ready)> Pods { get; } = [];

    public Dictionary<(string Holder, string Pod), int> Held { get; } = [];

    public Dictionary<string, bool> LeaseExpired { get; } = [];

    public List<Waiting> Queue { get; } = [];

    public List<(Waiting Ticket, string Pod)> Grants { get; } = [];

    /// <summary>Jobs, in the order in which they were submitted.</summary>
    public Dictionary<string, ModelJob> Jobs { get; } = [];

    /// <summary>Running jobs in the order in which Redis' hash has them: the order of their claims.</summary>
    public List<string> Running { get; } = [];

    /// <summary>Whether it is stored that no worker can start.</summary>
    public bool Blocked { get; private set; }

    /// <summary>Requests that were refused for it.</summary>
    public int Refused { get; private set; }

    public void Block()
    {
        Blocked = true;
        Refused += Queue.Count(w => w.Holder != Job);
    }

    public void Unblock() => Blocked = false;

    public int Free(string pod) => Pods[pod].Capacity - Held.Where(h => h.Key.Pod == pod).Sum(h => h.Value);

    /// <summary>Returns null for a lost lease, else what each ticket got: a pod, "queued", "full", "blocked".</summary>
    public List<string>? Acquire(string holder, bool fresh, bool expired, int maxDepth, int spare,
        IReadOnlyList<(string Id, string Flow, bool Late, bool Front)> tickets)
    {
        if (!fresh && !LeaseExpired.ContainsKey(holder)) return null;
        LeaseExpired[holder] = expired;
        var got = new List<string>();
        foreach (var t in tickets)
        {
            if (Queue.Count == 0 && Take(holder) is { } pod) got.Add(pod);
            else if (Blocked && Pods.Count == 0)
            {
                Refused++;
                got.Add("blocked");
            }
            else if (Queue.Count(w => w.Holder != Job) >= maxDepth && !t.Front) got.Add("full");
            else
            {
                Enqueue(holder, t.Id, t.Flow, t.Late, t.Front);
                got.Add("queued");
            }
        }

        for (var i = 0; i < spare && Queue.Count == 0; i++)
            if (Take(holder) is null) break;
        return got;
    }

    /// <summary>Returns the holder's own tickets that were granted, with their pods; jobs that it claimed go to <paramref name="claimed"/>.</summary>
    public List<(string Id, string Pod)> Release(string holder, IEnumerable<(string Pod, int Count)> slots,
        List<(string Id, Fence Fence, string Pod, string Why)>? claimed = null, string token = "")
    {
        if (LeaseExpired.ContainsKey(holder))
            foreach (var (pod, count) in slots)
                SetHeld(holder, pod, Held.GetValueOrDefault((holder, pod)) - count);
        var mine = new List<(string, string)>();
        while (Queue.Count > 0)
        {
            var head = Queue[0];
            if (head.Holder == Job)
            {
                if (claimed is null || !LeaseExpired.ContainsKey(holder) || !Claim(holder, head, claimed, token)) break;
                continue;
            }

            if (head.Late || !LeaseExpired.ContainsKey(head.Holder))
            {
                Queue.RemoveAt(0);
                if (head.Tag >= 0) vtime = head.Tag;
                continue;
            }

            if (Take(head.Holder) is not { } pod) break;
            Queue.RemoveAt(0);
            if (head.Tag >= 0) vtime = head.Tag;
            if (head.Holder == holder) mine.Add((head.Id, pod));
            else Grants.Add((head, pod));
        }

        return mine;
    }

    /// <summary>The holder says what it has; what Redis counts beyond that and unaccepted grants is freed.</summary>
    public bool Renew(string holder, IReadOnlyDictionary<string, int> own, IReadOnlyCollection<string> accepted, IReadOnlyCollection<string> named,
        string token)
    {
        if (!LeaseExpired.ContainsKey(holder)) return false;
        var orphans = Orphans(holder, named);
        foreach (var orphan in orphans) orphan.Token = token;
        Grants.RemoveAll(g => accepted.Contains(g.Ticket.Id));
        var granted = Grants.Where(g => g.Ticket.Holder == holder).Select(g => g.Pod);
        var held = Held.Keys.Where(k => k.Holder == holder).Select(k => k.Pod);
        foreach (var pod in held.Concat(own.Keys).Concat(granted).Concat(orphans.Select(o => o.Pod).Where(p => p.Length > 0)).Distinct().ToList())
        {
            var open = Grants.Count(g => g.Ticket.Holder == holder && g.Pod == pod) + orphans.Count(o => o.Pod == pod);
            var known = Held.ContainsKey((holder, pod));
            if (known || IsReady(pod)) SetHeld(holder, pod, own.GetValueOrDefault(pod) + open);
        }

        LeaseExpired[holder] = false;
        return true;
    }

    public const string Job = "job";

    /// <summary>Jobs that a holder has claimed and does not name.</summary>
    public List<ModelJob> Orphans(string holder, IReadOnlyCollection<string> known) =>
        [.. Running.Select(id => Jobs[id]).Where(j => j.Holder == holder && !known.Contains($"{j.Id}|{j.Fence}"))];

    public void Submit(string id, string flow, bool late, int max)
    {
        Jobs[id] = new ModelJob(id) { Max = max, Late = late };
        Enqueue(Job, id, flow, late, front: false);
    }

    /// <summary>True when the fence let it pass.</summary>
    public bool End(string id, Fence fence, string status)
    {
        // Told again, an attempt's end is the same end.
        if (Jobs[id] is not { Status: "IN_PROGRESS" } job || job.Fence != fence) return Jobs[id].Status == status && Jobs[id].EndedBy == fence;
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

    public bool Requeue(string id, Fence fence)
    {
        if (Jobs[id] is not { Status: "IN_PROGRESS" } job || job.Fence != fence) return false;
        Running.Remove(id);
        job.Status = "IN_QUEUE";
        Queue.Add(new Waiting(-1, ++seq, Job, id, job.Late));
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
        SetHeld(ticket.Holder, pod, Held.GetValueOrDefault((ticket.Holder, pod)) - 1);
    }

    public void Up(string pod, int capacity) =>
        Pods[pod] = IsReady(pod) ? Pods[pod] : (capacity, true);

    public void Drain(string pod)
    {
        if (IsReady(pod)) Pods[pod] = Pods[pod] with { Ready = false };
    }

    public void Down(string pod)
    {
        Pods.Remove(pod);
        foreach (var key in Held.Keys.Where(k => k.Pod == pod).ToList()) Held.Remove(key);
    }

    public void Reap()
    {
        var dead = LeaseExpired.Where(l => l.Value).Select(l => l.Key).ToList();
        foreach (var holder in dead)
        {
            LeaseExpired.Remove(holder);
            foreach (var key in Held.Keys.Where(k => k.Holder == holder).ToList()) Held.Remove(key);
            Grants.RemoveAll(g => g.Ticket.Holder == holder);
            Queue.RemoveAll(w => w.Holder == holder);
        }

        foreach (var id in Running.Where(id => !LeaseExpired.ContainsKey(Jobs[id].Holder)).ToList()) Requeue(id, Jobs[id].Fence);
    }

    private bool IsReady(string pod) => Pods.TryGetValue(pod, out var p) && p.Ready;

    private bool Claim(string holder, Waiting head, List<(string, Fence, string, string)> claimed, string token)
    {
        var job = Jobs[head.Id];
        var why = head.Late ? "expired" : job.Runs >= job.Max ? "exhausted" : "";
        var pod = why.Length > 0 ? "" : Take(holder);
        if (pod is null) return false;
        Queue.RemoveAt(0);
        if (head.Tag >= 0) vtime = head.Tag;
        (job.Status, job.Holder, job.Pod) = ("IN_PROGRESS", holder, pod);
        job.Attempt++;
        job.Token = token;
        if (pod.Length > 0) job.Runs++;
        Running.Add(job.Id);
        claimed.Add((job.Id, job.Fence, pod, why));
        return true;
    }

    private string? Take(string holder)
    {
        var pod = Pods.Where(p => p.Value.Ready).Select(p => p.Key).OrderByDescending(Free)
            .ThenByDescending(p => p, StringComparer.Ordinal).FirstOrDefault();
        if (pod is null || Free(pod) < 1) return null;
        SetHeld(holder, pod, Held.GetValueOrDefault((holder, pod)) + 1);
        return pod;
    }

    private void Enqueue(string holder, string id, string flow, bool late, bool front)
    {
        if (Queue.Count == 0) finish.Clear();
        var tag = front ? -1 : Math.Max(vtime, finish.GetValueOrDefault(flow));
        if (!front) finish[flow] = tag + 1;
        Queue.Add(new Waiting(tag, ++seq, holder, id, late));
        Sort();
    }

    private void Sort() => Queue.Sort((a, b) => a.Tag != b.Tag ? a.Tag.CompareTo(b.Tag) : a.Seq.CompareTo(b.Seq));

    private void SetHeld(string holder, string pod, int count)
    {
        if (count <= 0) Held.Remove((holder, pod));
        else Held[(holder, pod)] = count;
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

        public string Holder { get; set; } = "";

        public string Pod { get; set; } = "";
    }

    internal sealed record Waiting(double Tag, long Seq, string Holder, string Id, bool Late);
}
