namespace Sluice.Simulator;

/// <summary>What one run came to.</summary>
public sealed class Outcome
{
    private readonly List<double> waits = [];

    public List<(double At, int Workers)> Fleet { get; } = [];

    public int Requests => waits.Count;

    public int OverTarget { get; private set; }

    public double WorkerSeconds { get; set; }

    /// <summary>Workers that were ordered.</summary>
    public int Starts { get; set; }

    public int FailedStarts { get; set; }

    public int Deaths { get; set; }

    /// <summary>When it was decided, in seconds, that fewer workers run.</summary>
    public List<double> ScaleInsAt { get; } = [];

    public int ScaleIns => ScaleInsAt.Count;

    /// <summary>Workers ordered within a minute of a scale-in: bought back.</summary>
    public int Flaps { get; set; }

    /// <summary>Workers that were wanted and found no device.</summary>
    public int NoCapacity { get; set; }

    public int MostWorkers { get; set; }

    public int Looks { get; set; }

    public void Waited(TimeSpan wait, TimeSpan target)
    {
        waits.Add(wait.TotalSeconds);
        if (wait > target) OverTarget++;
    }

    public double MeanWait => waits.Count > 0 ? waits.Average() : 0;

    /// <summary>Wait in seconds that this share of the requests did not exceed.</summary>
    public double Wait(double quantile)
    {
        if (waits.Count == 0) return 0;
        waits.Sort();
        return waits[Math.Clamp((int)Math.Ceiling(quantile * waits.Count) - 1, 0, waits.Count - 1)];
    }
}
