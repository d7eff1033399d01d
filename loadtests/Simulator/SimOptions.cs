using Sluice.Simulator.Traces;

namespace Sluice.Simulator;

/// <summary>What the simulated machine does.</summary>
public sealed record SimOptions
{
    /// <summary>Requests that one worker takes at once.</summary>
    public int SlotsPerWorker { get; init; } = 2;

    /// <summary>From ordering a worker to its readiness.</summary>
    public LogNormal Start { get; init; } = new(6, 0.25);

    /// <summary>From telling a worker without requests to end to its end.</summary>
    public TimeSpan Stop { get; init; } = TimeSpan.FromMilliseconds(50);

    /// <summary>Share of starts that fail, after the time that a start takes.</summary>
    public double FailingStarts { get; init; }

    /// <summary>Mean time after which a ready worker dies; zero: never.</summary>
    public TimeSpan MeanLife { get; init; }

    /// <summary>A request that waited longer than this is over the target.</summary>
    public TimeSpan Target { get; init; } = TimeSpan.FromSeconds(1);

    public int Seed { get; init; } = 1;
}
