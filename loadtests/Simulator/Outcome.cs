namespace Sluice.Simulator;

/// <summary>The result of one run.</summary>
public sealed class Outcome
{
    private readonly List<double> waits = [];

    public List<(double At, int Workers)> Fleet { get; } = [];

    public int Requests => waits.Count;

    public int OverTarget { get; private set; }

    public double WorkerSeconds { get; set; }

    /// <summary>Number of started workers.</summary>
    public int Starts { get; set; }

    public int FailedStarts { get; set; }

    public int Deaths { get; set; }

    /// <summary>Times of the scale-ins, in seconds.</summary>
    public List<double> ScaleInsAt { get; } = [];

    public int ScaleIns => ScaleInsAt.Count;

    /// <summary>Number of workers started within a minute after a scale-in.</summary>
    public int Flaps { get; set; }

    /// <summary>Number of requested workers without a free device.</summary>
    public int NoCapacity { get; set; }

    public int MostWorkers { get; set; }

    public int Looks { get; set; }

    public void Waited(TimeSpan wait, TimeSpan target)
    {
        waits.Add(wait.TotalSeconds);
        if (wait > target) OverTarget++;
    }

    public double MeanWait => waits.Count > 0 ? waits.Average() : 0;

    /// <summary>Returns the quantile of the waiting time in seconds.</summary>
    public double Wait(double quantile)
    {
        if (waits.Count == 0) return 0;
        waits.Sort();
        return waits[Math.Clamp((int)Math.Ceiling(quantile * waits.Count) - 1, 0, waits.Count - 1)];
    }
}
