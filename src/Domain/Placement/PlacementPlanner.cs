using Sluice.Domain.Gpus;

namespace Sluice.Domain.Placement;

/// <summary>
/// Decides which pod gets which GPUs. Pure and deterministic. The leader and the simulator use it.
/// <list type="number">
/// <item>Order: by priority; within a priority, the endpoint with the least GPU memory per weight is next (weighted
/// max-min). Devices of running pods are not reallocated. An endpoint may have more than its share while no other
/// endpoint waits.</item>
/// <item>Devices: from the first kind of <see cref="GpuRequirements.Types"/> with a free device. Among equals the best
/// fit, so that large resources stay whole: a GPU that is already shared before an unused one (shares), no confidential
/// GPU unless requested, the least memory, then the machine, NVLink group or GPU in MIG mode with the fewest free
/// devices.</item>
/// <item>Several GPUs: of one kind on one machine, with the best weakest connection.</item>
/// <item>A waiting request for several GPUs reserves the free ones of them against requests of lower priority.
/// Otherwise pods with one GPU would starve it.</item>
/// </list>
/// </summary>
public static class PlacementPlanner
{
    /// <summary>Places the requests.</summary>
    /// <param name="inventory">The GPUs.</param>
    /// <param name="running">The devices of existing pods.</param>
    /// <param name="requests">The requests.</param>
    /// <returns>One result per request, in the order of <paramref name="requests"/>.</returns>
    public static IReadOnlyList<Placed> Place(
        Inventory inventory, IReadOnlyList<GpuAllocation> running, IReadOnlyList<GpuRequest> requests)
    {
        if (requests.Count == 0) return [];
        var state = new PlacementState(inventory, running);
        var results = new Placed[requests.Count];
        var priorities = requests.Select((r, i) => (Request: r, Index: i)).GroupBy(r => r.Request.Priority);
        foreach (var priority in priorities.OrderByDescending(g => g.Key))
        {
            var flows = priority.GroupBy(r => r.Request.EndpointId).Select(g => new Flow(g.Key, [.. g]));
            Serve(state, [.. flows], results);
            state.Reserve();
        }

        return results;
    }

    /// <summary>
    /// Returns why a request with these requirements cannot be satisfied even on idle machines; null if it can.
    /// </summary>
    public static PlacementRefusal? WhyNever(Inventory inventory, GpuRequirements needs)
    {
        var request = new GpuRequest { Id = "", EndpointId = "", Needs = needs };
        return Place(inventory, [], [request])[0].Refusal is { Never: true } refusal ? refusal : null;
    }

    /// <summary>
    /// Places the requests of one priority by progressive filling: the endpoint with the least memory per weight is
    /// next.
    /// </summary>
    private static void Serve(PlacementState state, IReadOnlyList<Flow> flows, Placed[] results)
    {
        var lowestShare = Comparer<(double Held, string Endpoint)>.Create((a, b) =>
            a.Held.CompareTo(b.Held) is not 0 and var held ? held : string.CompareOrdinal(a.Endpoint, b.Endpoint));
        var order = new PriorityQueue<Flow, (double Held, string Endpoint)>(lowestShare);
        foreach (var flow in flows) order.Enqueue(flow, (Share(flow), flow.EndpointId));
        while (order.TryDequeue(out var flow, out _))
        {
            var (request, index) = flow.Requests[flow.Next++];
            results[index] = state.Place(request);
            if (flow.Next < flow.Requests.Count) order.Enqueue(flow, (Share(flow), flow.EndpointId));
        }

        double Share(Flow flow) =>
            state.HeldMiB(flow.EndpointId) / Math.Max(1, flow.Requests[flow.Next].Request.Weight);
    }

    /// <summary>The requests of one endpoint and one priority.</summary>
    private sealed class Flow(string endpointId, IReadOnlyList<(GpuRequest Request, int Index)> requests)
    {
        public string EndpointId { get; } = endpointId;

        public IReadOnlyList<(GpuRequest Request, int Index)> Requests { get; } = requests;

        public int Next { get; set; }
    }
}
