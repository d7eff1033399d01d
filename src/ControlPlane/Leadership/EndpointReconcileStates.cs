using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Sluice.ControlPlane.Pods;
using Sluice.Domain.Declarations;
using Sluice.Shared;
using Sluice.Storage.Fleet;

namespace Sluice.ControlPlane.Leadership;

/// <summary>The leader's state of every declared endpoint.</summary>
internal sealed class EndpointReconcileStates
{
    private readonly ConcurrentDictionary<string, EndpointReconcileState> states = [];
    private readonly LeaderElection leadership;
    private readonly TimeProvider time;

    public EndpointReconcileStates(LeaderElection leadership, TimeProvider time)
    {
        this.leadership = leadership;
        this.time = time;
        SluiceMeter.Meter.CreateObservableGauge(MetricNames.GpuWaiting, MeasureWaiting, "{worker}",
            "Workers that wait for a GPU (reported by the leader only).");
    }

    public IReadOnlyCollection<EndpointReconcileState> All => [.. states.Values];

    /// <summary>Returns the state of an endpoint; null: it has none.</summary>
    public EndpointReconcileState? Find(string endpointId) => states.GetValueOrDefault(endpointId);

    /// <summary>Returns the state of an endpoint, and creates it if it has none.</summary>
    public EndpointReconcileState GetOrCreate(string endpointId) =>
        states.GetOrAdd(endpointId, _ => new EndpointReconcileState());

    public void Remove(string endpointId) => states.TryRemove(endpointId, out _);

    /// <summary>Removes the states of endpoints that are not declared.</summary>
    public void Retain(EndpointCatalog declared)
    {
        foreach (var id in states.Keys)
            if (declared.Find(id) is null) Remove(id);
    }

    /// <summary>
    /// Records a failed pod. Returns the time until the next start is allowed; null if the endpoint has no state.
    /// </summary>
    public TimeSpan? RecordFailure(PodEnd end) => Find(end.Pod.EndpointId)?.RecordFailure(end, time.GetUtcNow());

    private IEnumerable<Measurement<int>> MeasureWaiting() => !leadership.IsLeader ? [] : states
        .Where(k => k.Value.Wait is not null)
        .Select(k => new Measurement<int>(k.Value.Wait?.Workers ?? 0, KeyValuePair.Create("endpoint", (object?)k.Key)));
}
