using System.Collections.Concurrent;
using Sluice.Domain.Series;

namespace Sluice.Gateway.Observability;

/// <summary>
/// Counts what this gateway did for each endpoint, in memory. <c>SeriesWriter</c> stores it once a step, so a
/// request costs a lock of its endpoint and no call to Redis.
/// </summary>
public sealed class SeriesRecorder
{
    private readonly ConcurrentDictionary<string, EndpointRecord> endpoints = new(StringComparer.Ordinal);

    /// <summary>Records that a request or job has arrived, so that its wait is visible before it ends.</summary>
    public void Arrived(string endpointId) => Of(endpointId).Touch();

    /// <summary>Records a request that has ended.</summary>
    public void Ended(string endpointId, RequestTimes times, bool isError) => Of(endpointId).Add(counts =>
    {
        counts.Requests++;
        if (isError) counts.Errors++;
        counts.Queue.Add(times.Queued);
        if (times.Cold > TimeSpan.Zero) counts.Cold.Add(times.Cold);
        if (times.Run is { } run) counts.Run.Add(run);
        if (times.FirstToken is { } first) counts.FirstToken.Add(first);
        counts.Total.Add(times.Total);
    });

    /// <summary>Records generated tokens.</summary>
    public void Generated(string endpointId, long tokens) => Of(endpointId).Add(counts => counts.Tokens += tokens);

    /// <summary>
    /// Returns the endpoints that were used since the end of the last step, or that were not idle at that time.
    /// </summary>
    internal IReadOnlyList<(string Id, EndpointRecord Record)> Active() =>
        [.. endpoints.Where(e => e.Value.IsActive).Select(e => (e.Key, e.Value))];

    /// <summary>Deletes the records of endpoints that are not declared any more.</summary>
    internal void Retain(IReadOnlySet<string> declared)
    {
        foreach (var id in endpoints.Keys.Where(id => !declared.Contains(id))) endpoints.TryRemove(id, out _);
    }

    private EndpointRecord Of(string endpointId) => endpoints.GetOrAdd(endpointId, _ => new EndpointRecord());
}
