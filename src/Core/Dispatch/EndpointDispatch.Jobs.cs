using Sluice.Core.Jobs;

namespace Sluice.Core.Dispatch;

/// <summary>The jobs that this gateway has claimed and not ended.</summary>
internal sealed partial class EndpointDispatch
{
    /// <summary>Ends and their bytes in one call: Redis does nothing else meanwhile.</summary>
    private const int MaxEnds = 100;
    private const int MaxEndBytes = 1 << 20;

    private readonly Dictionary<string, JobGrant> jobs = [];
    private readonly List<PendingEnd> ends = [];

    /// <summary>Slots are free and tickets wait: those of jobs are granted to whoever asks.</summary>
    public void OnFree()
    {
        lock (gate) grantPass = true;
        signal.Writer.TryWrite(true);
    }

    /// <summary>A job that we run was cancelled.</summary>
    public void OnStop(string job)
    {
        // More than one where Redis lost a claim and gave the job out again.
        List<JobGrant> grants;
        lock (gate) grants = [.. jobs.Values.Where(g => g.Claim.Id == job)];
        foreach (var grant in grants) grant.Stop();
    }

    private JobGrant? JobOf(string key)
    {
        lock (gate) return jobs.GetValueOrDefault(key);
    }

    /// <summary>Stores an attempt's end and gives its slot back, in one call with what else has gathered. Ends once Redis has answered, or when the
    /// script failed for this end alone and not because Redis is down.</summary>
    public Task<EndResult> EndAsync(JobGrant grant, JobEnd end, bool alone = false)
    {
        var stored = new TaskCompletionSource<EndResult>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (gate)
        {
            ends.Add(new PendingEnd(end, stored, alone));
            grant.Slot?.Dispose();
        }

        signal.Writer.TryWrite(true);
        return stored.Task;
    }

    /// <summary>An attempt's end is stored.</summary>
    public void Settle(JobGrant grant)
    {
        lock (gate) jobs.Remove(grant.Key);
    }

    public void Apply(ReleaseAnswer answer)
    {
        lock (gate)
        {
            SetDepth(answer.Depth);
            if (!answer.More) return;
            grantPass = true;
        }

        signal.Writer.TryWrite(true);
    }

    /// <summary>Jobs that we claimed; returns their attempts, to be started.</summary>
    public List<JobGrant> Apply(IEnumerable<JobClaim> claims, IReadOnlyDictionary<string, WorkerAddress> workers)
    {
        var grants = new List<JobGrant>();
        lock (gate)
        {
            foreach (var claim in claims)
            {
                // Before anything is booked for it: a claim that is known has its slot.
                if (jobs.ContainsKey(JobGrant.KeyOf(claim))) continue;
                Slot? slot = null;
                if (claim.Pod.Length > 0 && workers.TryGetValue(claim.Pod, out var worker))
                {
                    var use = ledger.Add(worker, inUse: claim.IsIsolated ? worker.Concurrency : 1, idle: 0);
                    slot = Enter(use, claim.IsIsolated, isForJob: true);
                }

                var grant = new JobGrant(this, claim, slot);
                jobs.Add(grant.Key, grant);
                grants.Add(grant);
            }
        }

        return grants;
    }

    private List<PendingEnd> TakeEnds()
    {
        var (count, bytes) = (0, 0);
        while (count < Math.Min(ends.Count, MaxEnds) && (count == 0 || Fits(ends[count]))) bytes += ends[count++].End.Bytes;
        var taken = ends.GetRange(0, count);
        ends.RemoveRange(0, count);
        return taken;

        bool Fits(PendingEnd next) => !next.Alone && !ends[0].Alone && bytes + next.End.Bytes <= MaxEndBytes;
    }
}
