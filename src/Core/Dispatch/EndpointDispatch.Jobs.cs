namespace Sluice.Core.Dispatch;

/// <summary>The jobs that this gateway has claimed and not ended.</summary>
internal sealed partial class EndpointDispatch
{
    private readonly Dictionary<string, JobGrant> jobs = [];

    /// <summary>Slots are free and tickets wait: those of jobs are granted to whoever asks.</summary>
    public void OnFree()
    {
        lock (gate) grantPass = true;
        signal.Writer.TryWrite(true);
    }

    /// <summary>A job that we run was cancelled.</summary>
    public void OnStop(string job)
    {
        JobGrant? grant;
        lock (gate) grant = jobs.Values.FirstOrDefault(g => g.Claim.Id == job);
        grant?.Stop();
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
                Slot? slot = null;
                if (claim.Pod.Length > 0 && workers.TryGetValue(claim.Pod, out var worker))
                {
                    ledger.Add(worker, inUse: 1, idle: 0);
                    slot = Enter(worker);
                }

                var grant = new JobGrant(this, claim, slot);
                if (jobs.TryAdd(grant.Key, grant)) grants.Add(grant);
            }
        }

        return grants;
    }
}
