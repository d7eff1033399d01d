namespace Sluice.Simulator.Traces;

/// <summary>Log-normal durations with a given mean.</summary>
/// <param name="Mean">The mean in seconds.</param>
/// <param name="Sigma">Standard deviation of the logarithm; 0: all durations are equal.</param>
public readonly record struct LogNormal(double Mean, double Sigma)
{
    public TimeSpan Next(Random random)
    {
        // Box-Muller transform (1958).
        var normal = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
        return TimeSpan.FromSeconds(Mean * Math.Exp(Sigma * normal - Sigma * Sigma / 2));
    }
}
