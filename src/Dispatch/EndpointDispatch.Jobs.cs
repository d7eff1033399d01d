using Sluice.Domain.Fleet;
using Sluice.Domain.Jobs;
using Sluice.Storage.Queueing;

namespace Sluice.Dispatch;

/// <summary>The jobs that this gateway has claimed and not ended.</summary>
internal sealed partial class EndpointDispatch
{
    /// <summary>
    /// The most ends, and the most bytes of them, in one call. Redis runs no other command during the call.
    /// </summary>
    private const int MaxEnds = 100;
    private const int MaxEndBytes = 1 << 20;

    private readonly Dictionary<string, JobGrant> jobs = [];
    private readonly List<PendingEnd> ends = [];

    /// <summary>
    /// Requests a grant pass: slots are free and tickets wait. Tickets of jobs are granted to the gateway that asks.
    /// </summary>
    public void OnFree()
    {
        lock (gate) grantPass = true;
        signal.Writer.TryWrite(true);
    }

    /// <summary>Stops a cancelled job that this gateway runs.</summary>
    public void OnStop(string job)
    {
        // There is more than one attempt if Redis lost a claim and granted the job again.
        List<JobGrant> grants;
        lock (gate) grants = [.. jobs.Values.Where(g => g.Claim.Id == job)];
        foreach (var grant in grants) grant.Stop();
    }

    private JobGrant? JobOf(string key)
    {
        lock (gate) return jobs.GetValueOrDefault(key);
    }

    /// <summary>
    /// Stores the end of an attempt and returns its slot, in one call with other pending operations. Completes when
    /// Redis has answered, or when the script failed for this end alone although Redis was available.
    /// </summary>
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

    /// <summary>Forgets an attempt whose end is stored.</summary>
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

    /// <summary>Registers claimed jobs and returns their attempts, to be started.</summary>
    public List<JobGrant> Apply(IEnumerable<JobClaim> claims, IReadOnlyDictionary<string, WorkerAddress> workers)
    {
        var grants = new List<JobGrant>();
        lock (gate)
        {
            foreach (var claim in claims)
            {
                // Check this before slots are booked: a known claim already has its slot.
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
        while (count < Math.Min(ends.Count, MaxEnds) && (count == 0 || Fits(ends[count])))
            bytes += ends[count++].End.Bytes;
        var taken = ends.GetRange(0, count);
        ends.RemoveRange(0, count);
        return taken;

        bool Fits(PendingEnd next) => !next.Alone && !ends[0].Alone && bytes + next.End.Bytes <= MaxEndBytes;
    }
}
