namespace Sluice.Simulator.Scalers;

/// <summary>Workers to start, workers to drain, and draining workers to return to service.</summary>
public readonly record struct Orders(int Start, IReadOnlyList<string> Drain, IReadOnlyList<string>? Resume = null)
{
    public static Orders None { get; } = new(0, []);

    /// <summary>
    /// Returns the actions to reach a number of workers. Workers with the fewest requests stop first, then the newest.
    /// </summary>
    public static Orders To(SimEndpoint endpoint, int desired)
    {
        var current = endpoint.Workers.Where(w => w is { Gone: false, Drained: false }).ToList();
        if (desired >= current.Count) return new Orders(desired - current.Count, []);
        return new Orders(0, [.. current.OrderBy(w => w.Requests.Count).ThenByDescending(w => w.Pod.StartedAt)
            .Take(current.Count - desired).Select(w => w.Pod.Id)]);
    }
}
