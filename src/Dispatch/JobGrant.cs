using Sluice.Domain.Jobs;
using Sluice.Domain.Usage;
using Sluice.Storage.Queueing;

namespace Sluice.Dispatch;

/// <summary>
/// An attempt of a job that this gateway has claimed: it must run on the worker of its slot, or end without running, as
/// <see cref="JobClaim.Why"/> requires. The receiver must dispose it when the end of the attempt is stored.
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

    /// <summary>
    /// The slot to run the job on; null if the job must not run, or if its worker went down after the claim.
    /// </summary>
    public Slot? Slot { get; }

    /// <summary>
    /// Cancelled when the attempt must stop: the job was cancelled, or another gateway has claimed it because the lease
    /// of this gateway ended.
    /// </summary>
    public CancellationToken Stopped { get; }

    internal string Key => KeyOf(Claim);

    /// <summary>Returns the name that <c>renew</c> uses for a running job.</summary>
    internal static string KeyOf(JobClaim claim) => $"{claim.Id}|{claim.Fence}";

    /// <summary>Ends the job without output and returns the slot. Completes when Redis has answered.</summary>
    public Task<EndResult> FailAsync(string status, JobError error, WorkUsage used = default) =>
        EndAsync(JobEnd.Failed(Claim.Id, Claim.Fence, status, error, used));

    /// <summary>
    /// Ends the job as failed after an error of the gateway. The end is sent in a call of its own, because the data of
    /// the job may cause the error.
    /// </summary>
    public Task<EndResult> FailWithoutRetryAsync(JobError error) =>
        owner.EndAsync(this, JobEnd.Failed(Claim.Id, Claim.Fence, JobStatus.Failed, error), alone: true);

    /// <summary>Stores the result of the attempt and returns its slot. Completes when Redis has answered.</summary>
    public Task<EndResult> EndAsync(JobEnd end) => owner.EndAsync(this, end);

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
            // It was disposed just now.
        }
    }
}
