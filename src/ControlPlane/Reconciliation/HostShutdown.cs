using Microsoft.Extensions.Logging;
using Sluice.ControlPlane.Nodes;
using Sluice.ControlPlane.Pods;
using Sluice.ControlPlane.Scheduling;
using Sluice.Storage.Fleet;
using Sluice.Storage.Redis;

namespace Sluice.ControlPlane.Reconciliation;

/// <summary>Ends this host's part in the fleet: gives up the leadership, and stops its pods.</summary>
internal sealed partial class HostShutdown(
    HostLease lease,
    LeaderElection leadership,
    FleetNodes nodes,
    PodShutdown pods,
    TimeProvider time,
    ILogger<HostShutdown> logger)
{
    /// <summary>
    /// Pause between two checks whether the pods of a host that shuts down still have requests of other gateways.
    /// </summary>
    private static readonly TimeSpan FinishCheckPause = TimeSpan.FromMilliseconds(100);

    /// <summary>
    /// Minimum time that requests of other gateways get to finish at the pods of a host that shuts down, even if the
    /// host's own requests have used up its shutdown timeout.
    /// </summary>
    private static readonly TimeSpan LeastPatience = TimeSpan.FromSeconds(5);

    private readonly ILogger<HostShutdown> logger = logger;

    /// <summary>
    /// Stops this host's pods, unless they are kept for the next process. Requests of other gateways may finish, within
    /// the rest of the shutdown timeout and for <see cref="LeastPatience"/> at least.
    /// </summary>
    /// <param name="patience">Is cancelled when the shutdown timeout has passed.</param>
    public async Task RunAsync(CancellationToken patience)
    {
        // The resignation comes first, so that the next leader starts replacements for this host's pods.
        var reachable = await TryStoreAsync(leadership.ResignAsync);
        // No leader orders further workers here.
        if (reachable) reachable = await TryStoreAsync(nodes.WithdrawAsync);
        if (reachable && !pods.KeepsPods) reachable = await TryStoreAsync(() => LetFinishAsync(patience));
        var ended = pods.StopAllAsync();
        while (reachable && !ended.IsCompleted
            && await Task.WhenAny(ended, Task.Delay(ReconcileQueue.TickEvery, time, CancellationToken.None)) != ended)
            reachable = await TryStoreAsync(() => lease.RenewAsync(CancellationToken.None));
        await ended;
        // If the pods keep running, the host's lease is left to expire: another leader removes the pods only if no
        // process of this host adopts them within the lease.
        // Gateways that share the host adopt them as soon as the lease ends.
        if (reachable && (!pods.KeepsPods || pods.IsShared)) await TryStoreAsync(lease.ReleaseAsync);
    }

    /// <summary>
    /// Waits until the requests at this host's pods have finished. The host's lease is renewed until then, so that the
    /// leader does not remove the pods.
    /// </summary>
    private async Task LetFinishAsync(CancellationToken patience)
    {
        var since = time.GetTimestamp();
        while (await pods.DrainAsync(CancellationToken.None)
            && !(patience.IsCancellationRequested && time.GetElapsedTime(since) >= LeastPatience))
        {
            await lease.RenewAsync(CancellationToken.None);
            await pods.ReapAsync();
            await Task.Delay(FinishCheckPause, time, CancellationToken.None);
        }
    }

    /// <summary>
    /// Writes to Redis during the shutdown. Returns false if that fails: the leases then expire, and the shutdown waits
    /// for nothing else.
    /// </summary>
    private async Task<bool> TryStoreAsync(Func<Task> write)
    {
        try
        {
            await write();
            return true;
        }
        catch (Exception e)
        {
            // The shutdown continues, because this host's pods must stop in any case.
            if (!RedisErrors.Is(e)) ShutdownStepFailed(e);
            return false;
        }
    }

    [LoggerMessage(LogLevel.Error, "A shutdown step failed with an internal error; the shutdown continues")]
    private partial void ShutdownStepFailed(Exception e);
}
