namespace Sluice.Domain.Usage;

/// <summary>Seconds of workers.</summary>
/// <param name="Starting">While they started.</param>
/// <param name="Busy">While requests and jobs occupied them, by their share.</param>
/// <param name="Idle">The rest of the time in which they were ready.</param>
public readonly record struct WorkerSeconds(double Starting, double Busy, double Idle)
{
    /// <summary>All of them.</summary>
    public double Total => Starting + Busy + Idle;
}
