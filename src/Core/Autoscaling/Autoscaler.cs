using System.Globalization;
using Sluice.Core.Endpoints;

namespace Sluice.Core.Autoscaling;

/// <summary>What one endpoint asks of its workers now.</summary>
/// <param name="Queued">Requests that wait.</param>
/// <param name="OldestWait">How long the oldest of them has waited.</param>
/// <param name="Busy">Most requests at workers at once since the last look.</param>
/// <param name="Completed">Requests that ended so far; a growing counter, so that short ones between two looks show.</param>
/// <param name="Ready">Workers that take requests.</param>
/// <param name="Starting">Workers ordered that do not answer yet: capacity all the same.</param>
/// <param name="SlotsPerWorker">Requests one worker takes at once.</param>
public readonly record struct Load(int Queued, TimeSpan OldestWait, int Busy, long Completed, int Ready, int Starting,
    int SlotsPerWorker);

/// <summary>What the rule remembers between two looks.</summary>
/// <param name="LowSince">Since when less is wanted than runs; null: it is not so.</param>
/// <param name="LowPeak">The most that was wanted in that time.</param>
/// <param name="Completed">The counter at the last look; negative: no look yet.</param>
public readonly record struct ScaleState(DateTimeOffset? LowSince, int LowPeak, long Completed)
{
    public static ScaleState Initial { get; } = new(null, 0, -1);
}

/// <summary>How many workers should run, what to remember, and why.</summary>
public readonly record struct ScaleDecision(int Desired, ScaleState Next, string Because);

/// <summary>
/// How many workers should run. Pure: no clock, log or store. Three steps: what the demand asks for, the bounds of the
/// policy, and holding on to what runs until less was wanted for the whole idle timeout. Workers that are starting
/// count, so that one demand never orders two cold starts. Nothing is stopped on what was seen before a restart:
/// the idle timeout then begins anew.
/// </summary>
public static class Autoscaler
{
    public static ScaleDecision Decide(ScalePolicy policy, Load load, ScaleState state, DateTimeOffset now)
    {
        var (demand, why) = Demand(policy, load);
        if (demand == 0 && state.Completed >= 0 && load.Completed != state.Completed)
            (demand, why) = (1, "requests ended since the last look");
        var bounded = Math.Clamp(demand, policy.Min, policy.Max);
        if (bounded != demand) why += Text($"; bounds {policy.Min}..{policy.Max} make it {bounded}");
        return Hold(policy, load, state, now, bounded, why);
    }

    private static (int Workers, string Why) Demand(ScalePolicy policy, Load load) => policy.Scaler switch
    {
        Scaler.RequestCount => ByCount(policy, load),
        Scaler.QueueDelay => ByDelay(policy, load),
        _ => throw new ArgumentOutOfRangeException(nameof(policy), policy.Scaler, "unknown scaler"),
    };

    private static (int, string) ByCount(ScalePolicy policy, Load load)
    {
        var target = policy.Target > 0 ? policy.Target : Math.Max(1, load.SlotsPerWorker);
        var requests = load.Queued + load.Busy;
        var workers = Workers(requests, target);
        return (workers, Text($"{load.Queued} waiting + {load.Busy} running, {target} a worker: {workers}"));
    }

    private static (int, string) ByDelay(ScalePolicy policy, Load load)
    {
        var current = load.Ready + load.Starting;
        if (load.Queued + load.Busy == 0) return (0, "nothing waits or runs");
        if (current == 0)
        {
            // Nothing waited yet; what runs, runs on workers of another declaration that are to be replaced.
            var first = Math.Max(1, Workers(load.Busy, load.SlotsPerWorker));
            return (first, Text($"{load.Queued} waiting + {load.Busy} running and no worker: {first}"));
        }

        if (load.OldestWait > policy.MaxDelay && load.Starting == 0)
            return (current + 1, Text($"the oldest waits {load.OldestWait.TotalSeconds:0.#} s, tolerated are {policy.MaxDelay.TotalSeconds:0.#} s: {current + 1}"));
        // What runs is enough; how much of it is needed shows in what is busy.
        var needed = load.Queued > 0 ? current : Math.Max(1, Workers(load.Busy, load.SlotsPerWorker));
        return (needed, Text($"the oldest waits {load.OldestWait.TotalSeconds:0.#} s, {load.Starting} starting: {needed}"));
    }

    private static int Workers(int requests, int each) => (requests + Math.Max(1, each) - 1) / Math.Max(1, each);

    private static ScaleDecision Hold(ScalePolicy policy, Load load, ScaleState state, DateTimeOffset now, int wanted,
        string why)
    {
        var current = load.Ready + load.Starting;
        if (wanted >= current) return new ScaleDecision(wanted, new ScaleState(null, 0, load.Completed), why);
        if (current > policy.Max)
            return new ScaleDecision(policy.Max, new ScaleState(null, 0, load.Completed), Text($"{why}; max is {policy.Max}"));
        if (state.LowSince is not { } since)
            return new ScaleDecision(current, new ScaleState(now, wanted, load.Completed), Text($"{why}; holding {current}"));
        var peak = Math.Max(state.LowPeak, wanted);
        if (now - since < policy.IdleTimeout)
            return new ScaleDecision(current, new ScaleState(since, peak, load.Completed),
                Text($"{why}; holding {current} until {(policy.IdleTimeout - (now - since)).TotalSeconds:0.#} s more have passed"));
        return new ScaleDecision(peak, new ScaleState(null, 0, load.Completed),
            Text($"{why}; for {policy.IdleTimeout.TotalSeconds:0.#} s at most {peak} were wanted"));
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
