using Sluice.Storage.Redis;

namespace Sluice.ControlPlane;

/// <summary>
/// Renews this gateway's leases on time, however long a round takes: the lease of its host and the leadership.
/// </summary>
public sealed partial class Reconciler
{
    private readonly TaskCompletionSource known = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>
    /// Renews the host's lease and the leadership once a second, concurrently with the rounds. The epoch fences the
    /// orders.
    /// </summary>
    private async Task RenewLoopAsync(CancellationToken ct)
    {
        while (!ct.IsCancellationRequested)
        {
            var pause = TickEvery;
            try
            {
                await store.RenewHostAsync(host.Value, HostLease, ct);
                // The pods that already run here must be known before this gateway decides for others.
                if (known.Task.IsCompleted) pause = await LeadOrWaitAsync(ct);
            }
            catch (Exception e) when (!ct.IsCancellationRequested)
            {
                // The rounds log an unreachable Redis.
                if (!RedisErrors.Is(e)) Broke("the leadership", e);
            }

            var paused = Task.Delay(pause, time, ct);
            await (known.Task.IsCompleted ? paused : Task.WhenAny(paused, known.Task));
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
        if (leadership.Epoch != before) Wake("");
        return leadership.VacantIn is { } left && left < TickEvery ? left + Debounce : TickEvery;
    }
}
