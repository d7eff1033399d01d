using System.Threading.Channels;
using Sluice.Storage.Background;

namespace Sluice.ControlPlane.Scheduling;

/// <summary>
/// Collects the requests for rounds of the reconciler. Any thread may add a request; only the reconciler's loop reads.
/// </summary>
internal sealed class ReconcileQueue(TimeProvider time)
{
    /// <summary>Interval of the rounds that cover all endpoints that are not at rest.</summary>
    public static readonly TimeSpan TickEvery = TimeSpan.FromSeconds(1);

    /// <summary>Pause between two rounds, which combines a burst of requests into one round.</summary>
    public static readonly TimeSpan Debounce = TimeSpan.FromMilliseconds(10);

    // No endpoint has one of these ids.
    private const string AllEndpoints = "";
    private const string DueEndpoints = "*";

    private readonly Channel<string> requests = Channel.CreateUnbounded<string>();

    /// <summary>Requests that an endpoint is reconciled now instead of at the next tick.</summary>
    public void Request(string endpointId) => requests.Writer.TryWrite(endpointId);

    /// <summary>Requests a round that covers all endpoints, also those at rest.</summary>
    public void RequestAll() => Request(AllEndpoints);

    /// <summary>Requests a round that covers the endpoints that are not at rest.</summary>
    public void RequestDue() => Request(DueEndpoints);

    /// <summary>Requests that an endpoint is reconciled after a delay.</summary>
    public async Task RequestAfterAsync(string endpointId, TimeSpan delay)
    {
        await Task.Delay(delay, time, CancellationToken.None);
        Request(endpointId);
    }

    /// <summary>
    /// Requests a round for all endpoints immediately, and then one for those that are not at rest at each tick, until
    /// it is cancelled.
    /// </summary>
    public async Task RequestPeriodicallyAsync(CancellationToken ct)
    {
        using var timer = SharedTicks.Every(TickEvery, time);
        RequestAll();
        while (await timer.WaitForNextTickAsync(ct)) RequestDue();
    }

    /// <summary>Waits for a request and removes all that were added until then.</summary>
    public async Task<ReconcileRequests> TakeAsync(CancellationToken ct)
    {
        // The queue is never completed.
        await requests.Reader.WaitToReadAsync(ct);
        var endpoints = new HashSet<string>();
        while (requests.Reader.TryRead(out var endpoint)) endpoints.Add(endpoint);
        var (all, due) = (endpoints.Remove(AllEndpoints), endpoints.Remove(DueEndpoints));
        return new ReconcileRequests(all, all || due, endpoints);
    }

    /// <summary>Waits between two rounds.</summary>
    public Task PauseAsync(CancellationToken ct) => Task.Delay(Debounce, time, ct);
}
