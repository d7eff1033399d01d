using Sluice.Domain.Declarations;

namespace Sluice.Domain.Scaling;

/// <summary>Updates the scaling state with the load of one pass, before the decision is made. Pure.</summary>
internal static class Observation
{
    public static ScaleState Observe(ScalePolicy policy, LoadSnapshot load, ScaleState state, DateTimeOffset now)
    {
        var next = state with
        {
            At = now,
            Arrived = load.Arrived,
            Served = load.Served,
            Completed = load.Completed,
            Spending = Spent(load, state, now),
            TokensPerWorker = load.TokensPerWorker > 0 ? load.TokensPerWorker : state.TokensPerWorker,
        };
        if (load.LastStart is { } took && load.LastReadyAt > state.Learned.StartsSeenUntil)
            next = next with { Learned = next.Learned.Started(took, load.LastReadyAt) };
        // A counter that decreased means that Redis lost its last second of writes, or that the counter belongs to
        // another endpoint with the same name.
        if (state.At is not { } at || now <= at || load.Completed < state.Completed || load.Served < state.Served)
            return next;

        var elapsed = now - at;
        var served = load.Served - state.Served;
        var busy = served > TimeSpan.Zero || load.Completed > state.Completed ? served / elapsed : load.Busy;
        return next with
        {
            Traffic = next.Traffic.Add((load.Arrived - state.Arrived) / elapsed.TotalSeconds, elapsed),
            Learned = next.Learned.Served(served.TotalSeconds, load.Completed - state.Completed),
            Panic = ConcurrencyScaler.Observe(policy, next.Panic, busy + load.Queued, elapsed),
        };
    }

    private static Spending Spent(LoadSnapshot load, ScaleState state, DateTimeOffset now)
    {
        var today = DateOnly.FromDateTime(now.UtcDateTime);
        if (state.Spending.Day == today) return state.Spending with { Used = state.Spending.Used + load.WorkerTime };
        // Time before midnight belongs to the previous day.
        var sinceMidnight = now.UtcDateTime.TimeOfDay;
        var elapsed = state.At is { } at ? now - at : TimeSpan.Zero;
        var share = elapsed > sinceMidnight ? sinceMidnight / elapsed : 1;
        return new Spending(today, load.WorkerTime * share);
    }
}
