using Sluice.Domain.Declarations;

namespace Sluice.Domain.Fleet;

/// <summary>
/// Decides how long an endpoint without workers and without work needs no pass of the reconciler. Pure.
/// </summary>
public static class RestPolicy
{
    /// <summary>
    /// The longest time between two passes over an endpoint. An event that no gateway noticed has its effect within
    /// this time.
    /// </summary>
    public static readonly TimeSpan Longest = TimeSpan.FromSeconds(60);

    /// <summary>
    /// How long after the end of a block Redis may still reject requests, whose count is demand for a worker: the
    /// gateway sets the expiry, and the clock of Redis ends it.
    /// </summary>
    private static readonly TimeSpan BlockMargin = TimeSpan.FromSeconds(2);

    /// <summary>
    /// Returns until when a declared endpoint needs no pass if nothing happens: until a scheduled minimum begins or a
    /// refusal ends. <see cref="DateTimeOffset.MaxValue"/>: no time is known. Null: it needs the next pass.
    /// </summary>
    /// <param name="policy">The scaling policy.</param>
    /// <param name="fleet">The pods and drain orders that the plan is based on.</param>
    /// <param name="dispatch">The dispatch state that the plan is based on.</param>
    /// <param name="plan">The plan of this pass.</param>
    /// <param name="backoff">The backoff after failed starts.</param>
    /// <param name="now">The time of the plan.</param>
    public static DateTimeOffset? Decide(
        ScalePolicy policy,
        FleetSnapshot fleet,
        EndpointSnapshot dispatch,
        FleetPlan plan,
        StartBackoff backoff,
        DateTimeOffset now)
    {
        // Failed pods stay listed for operators, and change only with the declaration or the next start.
        var isEmpty = fleet.Pods.All(p => p.State == PodState.Failed)
            && dispatch is { Queued: 0, JobsRunning: 0, Refused: 0, Workers.Count: 0, Leases.Count: 0 };
        if (!isEmpty || plan.Acts || plan.Scale.Desired > 0) return null;
        if (backoff.Failures > 0 && now < backoff.NextTry + BlockMargin) return null;
        var until = plan.Scale.Refuses?.Until ?? DateTimeOffset.MaxValue;
        foreach (var schedule in policy.Schedules)
        {
            if (CronSchedule.GetOrParse(schedule.Cron, schedule.TimeZone)?.NextAfter(now) is { } begins
                && begins < until) until = begins;
        }

        return until;
    }

    /// <summary>
    /// Returns the time of the next pass over an endpoint at rest: at most <see cref="Longest"/> from now. Each
    /// endpoint has its own time within each <see cref="Longest"/>, so that the passes are spread evenly.
    /// </summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="until">The result of <see cref="Decide"/>.</param>
    /// <param name="now">The current time.</param>
    public static DateTimeOffset Limit(string endpointId, DateTimeOffset until, DateTimeOffset now)
    {
        var phase = (long)(Hash(endpointId) % (ulong)Longest.Ticks);
        var next = now.AddTicks(Longest.Ticks - (now.UtcTicks + phase) % Longest.Ticks);
        return until < next ? until : next;
    }

    /// <summary>
    /// Returns when the jobs of an endpoint at rest are swept next: when its next data is due, within the limit of
    /// <see cref="Limit"/>.
    /// </summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="nextIn">After which time its next data is due; null: it has none.</param>
    /// <param name="now">The time of the last sweep.</param>
    public static DateTimeOffset NextSweep(string endpointId, TimeSpan? nextIn, DateTimeOffset now) => Limit(
        endpointId, nextIn is { } wait && wait < Longest ? now + wait : DateTimeOffset.MaxValue, now);

    /// <summary>FNV-1a with 64 bits, mixed: equal in all processes, unlike the hash code of a string.</summary>
    private static ulong Hash(string text)
    {
        var hash = 14695981039346656037;
        foreach (var c in text) hash = (hash ^ c) * 1099511628211;
        return (hash ^ (hash >> 32)) * 0x9E3779B97F4A7C15;
    }
}
