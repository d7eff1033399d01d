using System.Diagnostics;
using Sluice.Domain.Fleet;
using Sluice.Domain.Gpus;
using Sluice.Domain.Placement;

namespace Sluice.Simulator;

/// <summary>Uses Sluice's placement on an inventory, and checks each result.</summary>
/// <param name="inventory">The GPUs.</param>
/// <param name="needs">The requirements of an endpoint's workers.</param>
public sealed class GpuPlacer(Inventory inventory, Func<string, GpuRequirements> needs) : IPlacer
{
    private readonly Dictionary<string, GpuAllocation> running = [];
    private readonly PlacementAudit audit = new(inventory);
    private readonly List<double> milliseconds = [];
    private readonly HashSet<string> never = [];

    /// <summary>Number of calls of the placement.</summary>
    public int Rounds => milliseconds.Count;

    /// <summary>The longest queue of one call.</summary>
    public int MostRequests { get; private set; }

    /// <inheritdoc/>
    public IReadOnlySet<string> NeverFits => never;

    /// <summary>Largest number of devices in use at one time, by the name of the GPU and the MIG profile.</summary>
    public IReadOnlyDictionary<string, int> MostInUse => audit.MostInUse;

    /// <summary>Returns the quantile of the time of one call in milliseconds.</summary>
    public double Took(double quantile)
    {
        if (milliseconds.Count == 0) return 0;
        var sorted = milliseconds.Order().ToList();
        return sorted[Math.Clamp((int)Math.Ceiling(quantile * sorted.Count) - 1, 0, sorted.Count - 1)];
    }

    /// <inheritdoc/>
    /// <exception cref="InvalidOperationException">The placement broke a rule, which the text names.</exception>
    public IReadOnlySet<string> Place(IReadOnlyList<Pod> pods)
    {
        MostRequests = Math.Max(MostRequests, pods.Count);
        var placed = new HashSet<string>();
        List<GpuRequest> requests = [.. pods.Select(p =>
            new GpuRequest { Id = p.Id, EndpointId = p.EndpointId, Needs = needs(p.EndpointId) })];
        var began = Stopwatch.GetTimestamp();
        var answers = PlacementPlanner.Place(inventory, [.. running.Values], requests);
        milliseconds.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
        foreach (var answer in answers)
        {
            var (id, endpoint) = (answer.Request.Id, answer.Request.EndpointId);
            if (answer.Refusal is { } refusal)
            {
                if (refusal.Never) never.Add(endpoint);
                continue;
            }

            audit.Take(id, answer.Request.Needs, answer.Devices);
            placed.Add(id);
            running[id] = new GpuAllocation(id, endpoint, answer.Devices);
        }

        return placed;
    }

    public void Free(Pod pod)
    {
        if (running.Remove(pod.Id)) audit.Return(pod.Id);
    }
}
