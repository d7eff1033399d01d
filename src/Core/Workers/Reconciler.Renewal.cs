using Sluice.Core.Redis;

namespace Sluice.Core.Workers;

/// <summary>What other gateways must see of this one on time, however long a round takes: that its host lives, and that it leads.</summary>
public sealed partial class Reconciler
{
    private readonly TaskCompletionSource known = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Renews the host's lease and the leadership once a second, beside the rounds. Orders stay fenced by the epoch.</summary>
    private async Task RenewLoopAsync(CancellationToken ct)
    {
        while (!ct.IsCancellationRequested)
        {
            var pause = TickEvery;
            try
            {
                await store.BeatAsync(host.Value, HostLease, ct);
                // What runs here already is to be known before this gateway decides for others.
                if (known.Task.IsCompleted) pause = await LeadOrWaitAsync(ct);
            }
            catch (Exception e) when (!ct.IsCancellationRequested)
            {
                // The rounds log an unreachable Redis.
                if (!RedisDown.Is(e)) Broke("the leadership", e);
            }

            var paused = Task.Delay(pause, time, ct);
            await (known.Task.IsCompleted ? paused : Task.WhenAny(paused, known.Task));
        }
    }

    /// <summary>Tries to lead, or renews the lease. Returns the time to the next try: a leader that is gone is replaced when its lease ends, not at the
    /// tick after.</summary>
    private async Task<TimeSpan> LeadOrWaitAsync(CancellationToken ct)
    {
        var before = leadership.Epoch;
        await leadership.RenewAsync(ct);
        if (leadership.Epoch != before) Wake("");
        return leadership.VacantIn is { } left && left < TickEvery ? left + Breath : TickEvery;
    }
}
