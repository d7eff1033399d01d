namespace Sluice.Domain.Scaling;

/// <summary>Arrival rates in requests per second. A mean with the time constant tau covers about two tau.</summary>
/// <param name="Now">Over about 3 seconds.</param>
/// <param name="Recent">Over about 16 seconds.</param>
/// <param name="Usual">Over about 80 seconds.</param>
public readonly record struct Traffic(MovingAverage Now, MovingAverage Recent, MovingAverage Usual)
{
    public static readonly TimeSpan NowTau = TimeSpan.FromSeconds(1.5);
    public static readonly TimeSpan RecentTau = TimeSpan.FromSeconds(8);
    public static readonly TimeSpan UsualTau = TimeSpan.FromSeconds(40);

    public Traffic Add(double rate, TimeSpan elapsed) => new(Now.Add(rate, elapsed, NowTau),
        Recent.Add(rate, elapsed, RecentTau), Usual.Add(rate, elapsed, UsualTau));
}
