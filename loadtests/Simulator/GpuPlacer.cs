using Sluice.Domain.Fleet;
using Sluice.Domain.Gpus;
using Sluice.Domain.Placement;

namespace Sluice.Simulator;

/// <summary>Uses Sluice's placement on an inventory: one GPU per pod.</summary>
public sealed class GpuPlacer(Inventory inventory) : IPlacer
{
    private static readonly GpuRequirements OneGpu = new();

    private readonly Dictionary<string, GpuAllocation> running = [];

    /// <summary>Number of calls of the placement.</summary>
    public int Rounds { get; private set; }

    public IReadOnlySet<string> Place(IReadOnlyList<Pod> pods)
    {
        Rounds++;
        var placed = new HashSet<string>();
        var requests = pods.Select(p => new GpuRequest { Id = p.Id, EndpointId = p.EndpointId, Needs = OneGpu });
        foreach (var answer in PlacementPlanner.Place(inventory, [.. running.Values], [.. requests]))
        {
            if (answer.Refusal is not null) continue;
            placed.Add(answer.Request.Id);
            var (id, endpoint) = (answer.Request.Id, answer.Request.EndpointId);
            running[id] = new GpuAllocation(id, endpoint, answer.Devices);
        }

        return placed;
    }

    public void Free(Pod pod) => running.Remove(pod.Id);
}
