using Sluice.Core.Workers;

namespace Sluice.Simulator.Scalers;

/// <summary>Who decides how many workers run: Sluice, or one that it is compared with.</summary>
public interface IScaler
{
    string Name { get; }

    /// <summary>How often it looks by itself.</summary>
    TimeSpan Every { get; }

    /// <summary>Whether it looks at once when this request has to wait.</summary>
    bool Nudged(SimEndpoint endpoint);

    /// <summary>What should be done now.</summary>
    Orders Look(SimEndpoint endpoint, DateTimeOffset now);

    /// <summary>A worker ended by itself, or failed to start.</summary>
    void Ended(SimWorker worker, DateTimeOffset now);
}

/// <summary>Workers to start, workers to drain, and workers that drain and are wanted back.</summary>
public readonly record struct Orders(int Start, IReadOnlyList<string> Drain, IReadOnlyList<string>? Resume = null)
{
    public static Orders None { get; } = new(0, []);

    /// <summary>From what there is to so many: those with the fewest requests go, of equals the youngest.</summary>
    public static Orders To(SimEndpoint endpoint, int desired)
    {
        var current = endpoint.Workers.Where(w => w is { Gone: false, Drained: false }).ToList();
        if (desired >= current.Count) return new Orders(desired - current.Count, []);
        return new Orders(0, [.. current.OrderBy(w => w.Requests.Count).ThenByDescending(w => w.Pod.StartedAt)
            .Take(current.Count - desired).Select(w => w.Pod.Id)]);
    }
}

/// <summary>Always as many.</summary>
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
