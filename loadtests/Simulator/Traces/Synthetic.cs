namespace Sluice.Simulator.Traces;

/// <summary>
/// Creates synthetic traffic: Poisson arrivals with a variable rate, log-normal service times. Equal seeds give equal
/// traces.
/// </summary>
public static class Synthetic
{
    private static readonly TimeSpan Day = TimeSpan.FromDays(1);

    public static Trace Poisson(double rate, TimeSpan length, double service, int seed) =>
        Make("poisson", length, rate, _ => rate, service, seed);

    /// <summary>No requests in one half of each period, the given rate in the other half.</summary>
    public static Trace SquareWave(
        string name, double rate, TimeSpan period, TimeSpan length, double service, int seed) =>
        Make(name, length, rate, t => t.Ticks % period.Ticks < period.Ticks / 2 ? rate : 0, service, seed);

    /// <summary>One day: no load at night, the given rate at noon.</summary>
    public static Trace Diurnal(double rate, double service, int seed) =>
        Make("diurnal", Day, rate, t => rate * (0.52 - 0.48 * Math.Cos(2 * Math.PI * (t / Day))), service, seed);

    /// <summary>A low rate, then a sudden high rate that decreases slowly.</summary>
    public static Trace FlashCrowd(string name, double trickle, double crowd, TimeSpan length, double service, int seed)
    {
        var comes = length / 3;
        return Make(name, length, crowd,
            t => t < comes ? trickle : trickle + (crowd - trickle) * Math.Exp(-(t - comes) / TimeSpan.FromMinutes(4)),
            service, seed);
    }

    /// <summary>One request per hour on average, for two days.</summary>
    public static Trace OneInAnHour(double service, int seed) =>
        Make("one-in-an-hour", 2 * Day, 1 / 3600.0, _ => 1 / 3600.0, service, seed);

    /// <summary>Thins a Poisson process of the highest rate (Lewis and Shedler, 1979).</summary>
    public static Trace Make(
        string name, TimeSpan length, double most, Func<TimeSpan, double> rate, double service, int seed)
    {
        var random = new Random(seed);
        var requests = new List<Request>();
        var at = TimeSpan.Zero;
        var times = new LogNormal(service, 0.5);
        while ((at += TimeSpan.FromSeconds(-Math.Log(1 - random.NextDouble()) / most)) < length)
            if (random.NextDouble() * most < rate(at)) requests.Add(new Request(at, times.Next(random)));
        return new Trace(name, length, requests);
    }
}
