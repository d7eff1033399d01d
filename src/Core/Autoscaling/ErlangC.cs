namespace Sluice.Core.Autoscaling;

/// <summary>Waiting times of the queue M/M/m (A. K. Erlang, 1917): Poisson arrivals, m equal slots, first come first served.</summary>
public static class ErlangC
{
    /// <summary>Beyond this the recursion costs more than it tells.</summary>
    private const double Large = 5_000;

    /// <summary>Chance that an arrival waits longer than <paramref name="wait"/>, both times in the same unit.</summary>
    /// <param name="offered">Offered load: arrival rate times mean service time.</param>
    /// <param name="slots">Slots; no more than the offered load means that the queue grows: 1.</param>
    /// <param name="wait">The wait asked about.</param>
    /// <param name="service">Mean service time.</param>
    public static double WaitsLonger(double offered, int slots, double wait, double service)
    {
        if (offered <= 0) return 0;
        if (slots <= offered) return 1;
        // Erlang B by its recursion, which is stable for any size, then C from B.
        var blocked = 1.0;
        for (var m = 1; m <= slots; m++) blocked = offered * blocked / (m + offered * blocked);
        return Waits(blocked, offered, slots) * Math.Exp(-(slots - offered) * wait / service);
    }

    /// <summary>The fewest slots with which no more than <paramref name="late"/> of the arrivals wait longer than
    /// <paramref name="wait"/>.</summary>
    public static int Slots(double offered, double wait, double service, double late)
    {
        if (offered <= 0) return 0;
        // Square-root staffing (Halfin and Whitt, 1981): with twice the root on top about one in forty waits at all.
        if (offered > Large) return (int)Math.Min(int.MaxValue / 2, Math.Ceiling(offered + 2 * Math.Sqrt(offered)));
        var blocked = 1.0;
        for (var m = 1; ; m++)
        {
            blocked = offered * blocked / (m + offered * blocked);
            if (m > offered && Waits(blocked, offered, m) * Math.Exp(-(m - offered) * wait / service) <= late) return m;
        }
    }

    /// <summary>Erlang C, the chance to wait at all, of Erlang B, the chance to find no slot.</summary>
    private static double Waits(double blocked, double offered, int slots) => blocked / (1 - offered / slots * (1 - blocked));
}
