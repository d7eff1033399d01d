using Sluice.Simulator.Traces;

namespace Sluice.Simulator;

/// <summary>The properties of the simulated machine.</summary>
public sealed record SimOptions
{
    /// <summary>Concurrent requests per worker.</summary>
    public int SlotsPerWorker { get; init; } = 2;

    /// <summary>Tokens that a worker can hold; 0: only its slots limit it.</summary>
    public long TokensPerWorker { get; init; }

    /// <summary>Time from the start of a worker to its readiness.</summary>
    public LogNormal Start { get; init; } = new(6, 0.25);

    /// <summary>Time from the stop of an idle worker to its exit.</summary>
    public TimeSpan Stop { get; init; } = TimeSpan.FromMilliseconds(50);

    /// <summary>Fraction of starts that fail, after the duration of a start.</summary>
    public double FailingStarts { get; init; }

    /// <summary>Mean time until a ready worker fails; zero: never.</summary>
    public TimeSpan MeanLife { get; init; }

    /// <summary>Target wait. A request that waited longer is over the target.</summary>
    public TimeSpan Target { get; init; } = TimeSpan.FromSeconds(1);

    public int Seed { get; init; } = 1;
}
