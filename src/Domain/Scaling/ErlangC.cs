namespace Sluice.Domain.Scaling;

/// <summary>
/// Computes waiting times of the M/M/m queue (A. K. Erlang, 1917): Poisson arrivals, m equal slots, first come first
/// served.
/// </summary>
public static class ErlangC
{
    /// <summary>Offered load above which the recursion costs more than its accuracy is worth.</summary>
    private const double Large = 5_000;

    /// <summary>Returns the probability that an arrival waits longer than <paramref name="wait"/>.</summary>
    /// <param name="offered">Offered load: arrival rate times mean service time.</param>
    /// <param name="slots">Number of slots. If it is at most the offered load, the queue grows without limit and the
    /// result is 1.</param>
    /// <param name="wait">The waiting time.</param>
    /// <param name="service">Mean service time, in the same unit as <paramref name="wait"/>.</param>
    public static double WaitsLonger(double offered, int slots, double wait, double service)
    {
        if (offered <= 0) return 0;
        if (slots <= offered) return 1;
        // Computes Erlang B with its recursion, which is numerically stable for every size, and then C from B.
        var blocked = 1.0;
        for (var m = 1; m <= slots; m++) blocked = offered * blocked / (m + offered * blocked);
        return Waits(blocked, offered, slots) * Math.Exp(-(slots - offered) * wait / service);
    }

    /// <summary>
    /// Returns the smallest number of slots for which at most the fraction <paramref name="late"/> of the arrivals
    /// waits longer than <paramref name="wait"/>.
    /// </summary>
    public static int Slots(double offered, double wait, double service, double late)
    {
        if (offered <= 0) return 0;
        // Square-root staffing (Halfin and Whitt, 1981): with twice the root added, about one arrival in forty waits.
        if (offered > Large) return (int)Math.Min(int.MaxValue / 2, Math.Ceiling(offered + 2 * Math.Sqrt(offered)));
        var blocked = 1.0;
        for (var m = 1; ; m++)
        {
            blocked = offered * blocked / (m + offered * blocked);
            if (m > offered && Waits(blocked, offered, m) * Math.Exp(-(m - offered) * wait / service) <= late)
                return m;
        }
    }

    /// <summary>
    /// Computes Erlang C, the probability of waiting, from Erlang B, the probability of finding no free slot.
    /// </summary>
    private static double Waits(double blocked, double offered, int slots) =>
        blocked / (1 - offered / slots * (1 - blocked));
}
