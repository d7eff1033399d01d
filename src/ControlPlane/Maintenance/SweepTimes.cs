using System.Collections.Concurrent;
using Sluice.Domain.Fleet;
using Sluice.Storage.Jobs;

namespace Sluice.ControlPlane.Maintenance;

/// <summary>
/// Keeps when the jobs of endpoints at rest are swept next. Endpoints that are not at rest are swept at each tick.
/// </summary>
internal sealed class SweepTimes
{
    private readonly ConcurrentDictionary<string, DateTimeOffset> due = new(StringComparer.Ordinal);

    /// <summary>Whether an endpoint must be swept now.</summary>
    public bool IsDue(string endpointId, bool isResting, DateTimeOffset now) =>
        !isResting || !due.TryGetValue(endpointId, out var at) || at <= now;

    /// <summary>Records a sweep.</summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="wasResting">
    /// Whether it was at rest when the sweep began. Otherwise it gets new data after the sweep, so its first sweep at
    /// rest decides about the next one.
    /// </param>
    /// <param name="answer">The result.</param>
    /// <param name="now">The time after the sweep.</param>
    public void Record(string endpointId, bool wasResting, SweepAnswer answer, DateTimeOffset now)
    {
        if (wasResting) due[endpointId] = RestPolicy.NextSweep(endpointId, answer.NextIn, now);
        else due.TryRemove(endpointId, out _);
    }

    /// <summary>Removes the endpoints that are not declared.</summary>
    public void Retain(Func<string, bool> isDeclared)
    {
        foreach (var id in due.Keys)
            if (!isDeclared(id)) due.TryRemove(id, out _);
    }

    /// <summary>Discards all times, because another gateway may sweep.</summary>
    public void Clear() => due.Clear();
}
