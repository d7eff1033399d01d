namespace Sluice.Simulator.Scalers;

/// <summary>Decides how many workers run: Sluice's scaler, or one that it is compared with.</summary>
public interface IScaler
{
    string Name { get; }

    /// <summary>Interval of its passes.</summary>
    TimeSpan Every { get; }

    /// <summary>Whether this waiting request triggers a pass immediately.</summary>
    bool Nudged(SimEndpoint endpoint);

    /// <summary>Decides which workers to start, drain or resume.</summary>
    Orders Look(SimEndpoint endpoint, DateTimeOffset now);

    /// <summary>Handles a worker that failed or failed to start.</summary>
    void Ended(SimWorker worker, DateTimeOffset now);
}

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

/// <summary>A constant number of workers.</summary>
public sealed class FixedFleet(int workers) : IScaler
{
    public string Name => $"fixed, {workers}";

    public TimeSpan Every => TimeSpan.FromSeconds(1);

    public bool Nudged(SimEndpoint endpoint) => false;

    public Orders Look(SimEndpoint endpoint, DateTimeOffset now) => Orders.To(endpoint, workers);

    public void Ended(SimWorker worker, DateTimeOffset now)
    {
    }
}
