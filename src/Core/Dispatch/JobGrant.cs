using Sluice.Core.Jobs;

namespace Sluice.Core.Dispatch;

/// <summary>
/// An attempt of a job that this gateway has claimed: to be run on its slot's worker, or, when <see cref="JobClaim.Why"/> says
/// so, to be ended. Whoever got it must dispose it when the attempt's end is stored.
/// </summary>
public sealed class JobGrant : IDisposable
{
    private readonly EndpointDispatch owner;
    private readonly CancellationTokenSource stop = new();
    private int ended;

    internal JobGrant(EndpointDispatch owner, JobClaim claim, Slot? slot)
    {
        this.owner = owner;
        Claim = claim;
        Slot = slot;
        Stopped = stop.Token;
    }

    public string EndpointId => owner.EndpointId;

    public JobClaim Claim { get; }

    /// <summary>The slot to run it on; null when it is not to run, or its worker went down meanwhile.</summary>
    public Slot? Slot { get; }

    /// <summary>Cancelled when the attempt is not wanted any more: the job was cancelled, or others have taken it over
    /// because this gateway's lease ended.</summary>
    public CancellationToken Stopped { get; }

    internal string Key => KeyOf(Claim);

    /// <summary>As <c>renew</c> names a running job.</summary>
    internal static string KeyOf(JobClaim claim) => $"{claim.Id}|{claim.Fence}";

    /// <summary>Ends the job without output and gives the slot back. Ends once Redis has answered.</summary>
    public Task<EndResult> FailAsync(string status, JobError error) => EndAsync(JobEnd.Failed(Claim.Id, Claim.Fence, status, error));

    /// <summary>Ends the job as failed after an error of the gateway itself, which may be its data's: in a call of its own.</summary>
    public Task<EndResult> GiveUpAsync(JobError error) => owner.EndAsync(this, JobEnd.Failed(Claim.Id, Claim.Fence, JobStatus.Failed, error), alone: true);

    /// <summary>Stores what the attempt came to and gives its slot back. Ends once Redis has answered.</summary>
    internal Task<EndResult> EndAsync(JobEnd end) => owner.EndAsync(this, end);

    public void Dispose()
    {
        if (Interlocked.Exchange(ref ended, 1) != 0) return;
        Slot?.Dispose();
        owner.Settle(this);
        stop.Dispose();
    }

    internal void Stop()
    {
        if (Volatile.Read(ref ended) != 0) return;
        try
        {
            stop.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It ended just now.
        }
    }
}

/// <summary>What runs the jobs that dispatch claims.</summary>
public interface IJobRunner
{
    /// <summary>Takes an attempt over; returns at once.</summary>
    void Start(JobGrant grant);

    /// <summary>False: no job is to be claimed now. What was claimed before is started all the same.</summary>
    bool TakesJobs => true;
}
