using Microsoft.Extensions.Logging;
using Sluice.ControlPlane.Pods;
using Sluice.ControlPlane.Scheduling;
using Sluice.Storage.Background;
using Sluice.Storage.Fleet;
using Sluice.Storage.Redis;

namespace Sluice.ControlPlane.Leadership;

/// <summary>
/// Renews this gateway's leases on time, however long a round takes: the lease of its host and the leadership.
/// </summary>
internal sealed partial class LeadershipRenewal(
    HostLease lease,
    LeaderElection leadership,
    ReconcileQueue queue,
    SchemaUpgrade schema,
    TimeProvider time,
    ILogger<LeadershipRenewal> logger)
{
    private readonly ILogger<LeadershipRenewal> logger = logger;

    private TimeSpan NextTick => SharedTicks.UntilNext(ReconcileQueue.TickEvery, time);

    /// <summary>
    /// Renews the host's lease and the leadership once a second, concurrently with the rounds. The epoch fences the
    /// orders.
    /// </summary>
    /// <param name="podsKnown">
    /// Completes when the pods that already run here are known. Before, this gateway must not decide for others.
    /// </param>
    /// <param name="ct">Ends the loop.</param>
    public async Task RunAsync(Task podsKnown, CancellationToken ct)
    {
        while (!ct.IsCancellationRequested)
        {
            var pause = NextTick;
            try
            {
                await lease.RenewAsync(ct);
                if (podsKnown.IsCompleted) pause = await LeadOrWaitAsync(ct);
                schema.Observe();
            }
            catch (Exception e) when (!ct.IsCancellationRequested)
            {
                // The rounds log an unreachable Redis.
                if (!RedisErrors.Is(e)) LeadershipRenewalFailed(e);
            }

            var paused = Task.Delay(pause, time, ct);
            await (podsKnown.IsCompleted ? paused : Task.WhenAny(paused, podsKnown));
        }
    }

    /// <summary>
    /// Acquires or renews the leadership. Returns the time to the next attempt: a lost leader is replaced when its
    /// lease expires, not at the tick after that.
    /// </summary>
    private async Task<TimeSpan> LeadOrWaitAsync(CancellationToken ct)
    {
        var before = leadership.Epoch;
        await leadership.RenewAsync(ct);
        if (leadership.Epoch != before) queue.RequestAll();
        var tick = NextTick;
        return leadership.VacantIn is { } left && left < tick ? left + ReconcileQueue.Debounce : tick;
    }

    [LoggerMessage(LogLevel.Error,
        "Renewing the leadership failed with an internal error; it is retried within 1 s")]
    private partial void LeadershipRenewalFailed(Exception e);
}
