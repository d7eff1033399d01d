using System.Collections.Concurrent;
using Sluice.Domain.Fleet;
using Sluice.Storage.Queueing;

namespace Sluice.ControlPlane.Scheduling;

/// <summary>
/// Keeps which endpoints are at rest: they have no workers and no work, and the rounds skip them until something
/// happens. A request for an endpoint wakes it, and so do its keys in Redis, which are checked once a second, so that
/// no lost message delays a request for longer. Only the reconciler's loop changes the set; <see cref="IsResting"/> may
/// be called by any thread.
/// </summary>
internal sealed class RestingEndpoints(EndpointActivity activity, TimeProvider time)
{
    /// <summary>Endpoint -> when its next pass is due.</summary>
    private readonly ConcurrentDictionary<string, DateTimeOffset> resting = new(StringComparer.Ordinal);

    /// <summary>Woken endpoint -> until when it certainly had no work.</summary>
    private readonly Dictionary<string, DateTimeOffset> rested = new(StringComparer.Ordinal);

    /// <summary>When the last check of the keys began.</summary>
    private DateTimeOffset checkedAt = DateTimeOffset.MinValue;

    /// <summary>Whether the rounds skip an endpoint.</summary>
    public bool IsResting(string endpointId) => resting.ContainsKey(endpointId);

    /// <summary>Lets the rounds skip an endpoint.</summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="until">When its next pass is due; it comes earlier if that is late.</param>
    public void Rest(string endpointId, DateTimeOffset until)
    {
        rested.Remove(endpointId);
        resting[endpointId] = RestPolicy.Limit(endpointId, until, time.GetUtcNow());
    }

    /// <summary>Lets the next round cover an endpoint.</summary>
    public void Wake(string endpointId)
    {
        if (resting.TryRemove(endpointId, out _)) rested[endpointId] = checkedAt;
    }

    /// <summary>Lets the next round cover all endpoints, because events may have been lost.</summary>
    public void WakeAll()
    {
        resting.Clear();
        rested.Clear();
    }

    /// <summary>Wakes the endpoints that have work according to Redis, and those whose next pass is due.</summary>
    /// <param name="isDeclared">Whether an endpoint is declared. Others are removed from the set.</param>
    /// <param name="ct">Cancels the check.</param>
    public async Task WakeDueAsync(Func<string, bool> isDeclared, CancellationToken ct)
    {
        var now = time.GetUtcNow();
        // The clock was set back, and the known times are too late.
        if (now < checkedAt) WakeAll();
        foreach (var id in resting.Keys)
            if (!isDeclared(id)) resting.TryRemove(id, out _);
        foreach (var id in rested.Keys.Where(id => !isDeclared(id)).ToList()) rested.Remove(id);
        foreach (var id in await activity.FindBusyAsync([.. resting.Keys], ct)) Wake(id);
        checkedAt = now;
        foreach (var (id, due) in resting)
            if (due <= now) Wake(id);
    }

    /// <summary>
    /// Returns until when a woken endpoint certainly had no work, once; null: it was not at rest before this pass.
    /// </summary>
    public DateTimeOffset? TakeRested(string endpointId) =>
        rested.Remove(endpointId, out var until) ? until : null;
}
