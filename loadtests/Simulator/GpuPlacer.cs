using Sluice.Core.Gpus;
using Sluice.Core.Workers;

namespace Sluice.Simulator;

/// <summary>Finds devices for pods, or does not.</summary>
public interface IPlacer
{
    /// <summary>The ids of those pods that got what they need.</summary>
    IReadOnlySet<string> Place(IReadOnlyList<Pod> pods);

    /// <summary>A pod is gone.</summary>
    void Free(Pod pod);
}

/// <summary>The product's own placement on an inventory: one GPU for each pod.</summary>
public sealed class GpuPlacer(Inventory inventory) : IPlacer
{
    private static readonly GpuNeeds OneGpu = new();

    private readonly Dictionary<string, GpuHolding> running = [];

    /// <summary>Calls of the placement.</summary>
    public int Rounds { get; private set; }

    public IReadOnlySet<string> Place(IReadOnlyList<Pod> pods)
    {
        Rounds++;
        var placed = new HashSet<string>();
        var wishes = pods.Select(p => new GpuWish { Id = p.Id, EndpointId = p.EndpointId, Needs = OneGpu });
        foreach (var answer in Placement.Place(inventory, [.. running.Values], [.. wishes]))
        {
            if (answer.Refusal is not null) continue;
            placed.Add(answer.Request.Id);
            running[answer.Request.Id] = new GpuHolding(answer.Request.Id, answer.Request.EndpointId, answer.Devices);
        }

        return placed;
    }

    public void Free(Pod pod) => running.Remove(pod.Id);
}
