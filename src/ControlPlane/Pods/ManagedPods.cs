using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Sluice.Domain.Fleet;
using Sluice.Domain.Placement;
using Sluice.Shared;

namespace Sluice.ControlPlane.Pods;

/// <summary>The set of this host's pods, from their order to their exit.</summary>
internal sealed class ManagedPods
{
    private readonly ConcurrentDictionary<string, ManagedPod> pods = [];

    public ManagedPods() => SluiceMeter.Meter.CreateObservableGauge(
        MetricNames.Workers, Measure, "{worker}", "Workers of this host, by state.");

    public ICollection<ManagedPod> All => pods.Values;

    public bool IsEmpty => pods.IsEmpty;

    /// <summary>The endpoints that this host has pods of.</summary>
    public IEnumerable<string> Endpoints => pods.Values.Select(p => p.EndpointId).Distinct();

    /// <summary>The devices of each pod that holds some, until the pod has exited.</summary>
    public IEnumerable<GpuAllocation> Holdings => pods.Values.Select(p => p.Record)
        .Where(p => p is { Devices.Count: > 0, State: not PodState.Failed }).Select(p => p.Holding);

    /// <summary>Whether this host has pods of an endpoint.</summary>
    public bool HasPodsOf(string endpointId) => pods.Values.Any(p => p.EndpointId == endpointId);

    public bool Contains(string podId) => pods.ContainsKey(podId);

    public void Add(ManagedPod pod) => pods[pod.Id] = pod;

    /// <summary>Removes a pod. A repeated call has no effect.</summary>
    public void Remove(ManagedPod pod) => pods.TryRemove(pod.Id, out _);

    private IEnumerable<Measurement<int>> Measure() => pods.Values.Select(p => p.Record)
        .GroupBy(p => (p.EndpointId, p.State))
        .Select(g => new Measurement<int>(g.Count(), Tag("endpoint", g.Key.EndpointId),
            Tag("state", g.Key.State.ToString().ToLowerInvariant())));

    private static KeyValuePair<string, object?> Tag(string name, object? value) => KeyValuePair.Create(name, value);
}
