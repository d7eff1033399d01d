using System.Diagnostics;
using Sluice.Domain.Declarations;
using Sluice.Simulator.Scalers;
using Sluice.Simulator.Traces;
using Trace = Sluice.Simulator.Traces.Trace;

namespace Sluice.Simulator;

/// <summary>Runs one trace with every contender on the same machine.</summary>
/// <param name="Title">The title in the report.</param>
/// <param name="Trace">The requests.</param>
/// <param name="Options">The simulated machine.</param>
/// <param name="Max">Maximum number of workers of every contender.</param>
public sealed record Comparison(string Title, Trace Trace, SimOptions Options, int Max)
{
    /// <summary>Idle timeout of all contenders. It equals Knative's stable window.</summary>
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(60);

    /// <summary>RunPod's default idle timeout.</summary>
    private static readonly TimeSpan RunPodIdle = TimeSpan.FromSeconds(5);

    public IReadOnlyList<Row> Run() => [.. Contenders().Select(Run)];

    public Row Run(IContender contender)
    {
        var endpoint = new SimEndpoint(Trace.Name, Trace, contender, Options);
        var began = Stopwatch.GetTimestamp();
        new Simulation([endpoint]).Run(Trace.Length + Idle);
        return new Row(contender, endpoint.Outcome, Stopwatch.GetElapsedTime(began));
    }

    /// <summary>
    /// Returns all scalers of Sluice, the default policy's first, then the others with the same limits and idle timeout,
    /// then RunPod's with its own timeout.
    /// </summary>
    public IEnumerable<IContender> Contenders()
    {
        var names = new ScalerConverter();
        foreach (var scaler in Enum.GetValues<Scaler>())
            yield return new SluiceScaler(Policy(scaler), "Sluice " + names.GetName(scaler));
        yield return new KnativeScaler(0, Max);
        yield return new RunPodScaler(false, Options.SlotsPerWorker, Idle, Max);
        yield return new RunPodScaler(true, 4, Idle, Max);
        yield return new RunPodScaler(false, Options.SlotsPerWorker, RunPodIdle, Max);
        yield return new RunPodScaler(true, 4, RunPodIdle, Max);
        var mean = Math.Max(1, (int)Math.Ceiling(Trace.Offered / Options.SlotsPerWorker));
        yield return new FixedFleet(mean);
        if (Math.Min(Max, 3 * mean) > mean) yield return new FixedFleet(Math.Min(Max, 3 * mean));
    }

    public ScalePolicy Policy(Scaler scaler) =>
        new() { Scaler = scaler, Max = Max, IdleTimeout = Idle, TargetWait = Options.Target };

    /// <summary>The outcome of one contender.</summary>
    public sealed record Row(IContender Contender, Outcome Outcome, TimeSpan Took)
    {
        /// <summary>Whether another contender has fewer requests over the target and fewer worker-seconds.</summary>
        public bool DominatedBy(Row other) =>
            other.Outcome.OverTarget < Outcome.OverTarget && other.Outcome.WorkerSeconds < Outcome.WorkerSeconds;
    }

    /// <summary>Returns all compared traces.</summary>
    public static IReadOnlyList<Comparison> All(Trace azure)
    {
        var machine = new SimOptions();
        var hour = TimeSpan.FromHours(1);
        return
        [
            new("Azure, code: an hour of production (bursts of minutes)", azure, machine, 20),
            new("Azure, code; one start in ten fails, workers die after ten minutes on average",
                azure with { Name = "azure-code, failures" },
                machine with { FailingStarts = 0.1, MeanLife = TimeSpan.FromMinutes(10) }, 20),
            new("Azure, code; 16 slots and a cache of 16,384 tokens per worker",
                azure with { Name = "azure-code, tokens" },
                machine with { SlotsPerWorker = 16, TokensPerWorker = 16_384 }, 20),
            new("Poisson, 3 a second", Synthetic.Poisson(3, hour, 0.8, 11), machine, 20),
            new("Square wave, 10 s on and 10 s off",
                Synthetic.SquareWave("square-20s", 8, TimeSpan.FromSeconds(20), hour, 0.5, 12), machine, 20),
            new("Square wave, 5 min on and 5 min off",
                Synthetic.SquareWave("square-10min", 8, TimeSpan.FromMinutes(10), hour, 0.5, 13), machine, 20),
            new("Diurnal: a day", Synthetic.Diurnal(6, 0.8, 14), machine, 20),
            new("Flash crowd: from 0.5 to 30 a second in one step",
                Synthetic.FlashCrowd("flash-crowd", 0.5, 30, hour, 0.5, 15), machine, 40),
            new("One in an hour, two days", Synthetic.OneInAnHour(0.8, 16), machine, 20),
            new("Slow starters: a minute to start, a flash crowd",
                Synthetic.FlashCrowd("slow-starters", 1, 15, hour, 0.8, 17),
                machine with { Start = new LogNormal(60, 0.15) }, 40),
            new("Quick starters: 0.3 s to start (standby workers), short requests",
                Synthetic.SquareWave("quick-starters", 40, TimeSpan.FromMinutes(4), hour, 0.1, 18),
                machine with { Start = new LogNormal(0.3, 0.2) }, 20),
        ];
    }
}
