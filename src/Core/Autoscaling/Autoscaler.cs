using System.Globalization;
using Sluice.Core.Endpoints;

namespace Sluice.Core.Autoscaling;

/// <summary>
/// How many workers should run. Pure: no clock, log or store. Named steps, in the order of <see cref="ScaleSteps"/>: what the
/// scaler asks for; what went by between two looks; spare workers; scheduled minimums; the bounds; the step limit; holding on
/// to what runs until less was wanted for long enough; pause; the day's spend limit. Workers that are starting count,
/// so that one demand never orders two cold starts.
/// </summary>
public static class Autoscaler
{
    public static ScaleDecision Decide(ScalePolicy policy, Load load, ScaleState state, DateTimeOffset now)
    {
        var seen = Observation.Observe(policy, load, state, now);
        var making = new Making(policy, load, state, seen, now);
        making.Demand();
        making.Recent();
        making.Buffer();
        var least = making.Schedule();
        making.Bounds(least);
        making.Limit();
        making.Hold();
        making.Pause();
        making.Spend();
        return making.Made();
    }

    /// <summary>One decision in the making: the number so far, what to remember, and the steps that were taken.</summary>
    private sealed class Making(ScalePolicy policy, Load load, ScaleState before, ScaleState seen, DateTimeOffset now)
    {
        private const int StartsWorthWaiting = 10;

        private readonly List<ScaleStep> steps = [];
        private ScaleState next = seen;
        private Refusal? refusal;
        private int wanted;

        public ScaleDecision Made() => new(wanted, next, steps) { Refuses = refusal };

        public void Demand()
        {
            var (workers, why) = policy.Scaler switch
            {
                Scaler.Slo => SloDemand.Workers(policy, load, before, next),
                Scaler.RequestCount => RequestCountDemand.Workers(policy, load),
                Scaler.QueueDelay => QueueDelayDemand.Workers(policy, load),
                Scaler.Concurrency => Concurrent(),
                _ => throw new ArgumentOutOfRangeException(nameof(policy), policy.Scaler, "unknown scaler"),
            };
            Take(ScaleSteps.Demand, workers, why);
        }

        /// <summary>Requests shorter than a look would otherwise never be seen.</summary>
        public void Recent()
        {
            if (wanted == 0 && before.Completed >= 0 && load.Completed != before.Completed)
                Take(ScaleSteps.Recent, 1, "requests ended since the last look");
        }

        public void Buffer()
        {
            if (wanted > 0 && policy.Buffer > 0) Take(ScaleSteps.Buffer, wanted + policy.Buffer, Text($"{policy.Buffer} spare: {wanted + policy.Buffer}"));
        }

        /// <summary>Returns the least that should run now.</summary>
        public int Schedule()
        {
            var least = policy.Min;
            foreach (var schedule in policy.Schedules)
                if (schedule.Min > least && CronSchedule.Of(schedule.Cron, schedule.TimeZone)?.Covers(now, schedule.For) == true)
                {
                    least = schedule.Min;
                    if (wanted < least) Take(ScaleSteps.Schedule, least, Text($"scheduled at '{schedule.Cron}' {schedule.TimeZone}: at least {least}"));
                }

            return Math.Min(least, policy.Max);
        }

        public void Bounds(int least)
        {
            var bounded = Math.Clamp(wanted, least, policy.Max);
            if (bounded != wanted) Take(ScaleSteps.Bounds, bounded, Text($"bounds {policy.Min}..{policy.Max} make it {bounded}"));
        }

        public void Limit()
        {
            if (policy.MaxStep == 0) return;
            var window = next.Step;
            if (window.Since is not { } since || now - since >= policy.StepInterval || load.Current < window.From)
                window = new StepWindow(now, load.Current);
            next = next with { Step = window };
            var most = window.From + policy.MaxStep;
            if (wanted <= most || wanted <= load.Current) return;
            var allowed = Math.Max(most, load.Current);
            Take(ScaleSteps.Step, allowed, Text($"at most {policy.MaxStep} more in {policy.StepInterval.TotalSeconds:0.#} s: {allowed}"));
        }

        /// <summary>Fewer only when fewer were wanted for the whole scale-in delay, and then as many as were wanted at most in it;
        /// none when none was wanted for the whole idle timeout.</summary>
        public void Hold()
        {
            // A worker of an earlier declaration is what the endpoint has until its successor is ready.
            var current = load.Current == 0 && load.Outdated > 0 ? 1 : load.Current;
            if (wanted >= current || current > policy.Max)
            {
                if (wanted < current) Take(ScaleSteps.Bounds, policy.Max, Text($"max is {policy.Max}"));
                next = next with { LowSince = null, LowPeak = 0, IdleSince = null };
                return;
            }

            var since = next.LowSince ?? now;
            DateTimeOffset? idle = wanted == 0 ? next.IdleSince ?? now : null;
            var peak = Math.Min(current, Math.Max(next.LowSince is null ? 0 : next.LowPeak, wanted));
            var untilNone = idle is { } i ? UntilNone(i) : TimeSpan.MaxValue;
            var untilFewer = peak > 0 ? UntilFewer(since, untilNone) : TimeSpan.MaxValue;
            if (untilNone > TimeSpan.Zero && untilFewer > TimeSpan.Zero)
            {
                var wait = untilNone < untilFewer ? untilNone : untilFewer;
                Take(ScaleSteps.Hold, current, Text($"holding {current} for {wait.TotalSeconds:0.#} s more"));
                next = next with { LowSince = since, LowPeak = peak, IdleSince = idle };
                return;
            }

            next = next with { LowSince = null, LowPeak = 0, IdleSince = idle, ScaledInAt = now };
            if (untilNone <= TimeSpan.Zero) Take(ScaleSteps.Hold, 0, Text($"nothing was wanted for {policy.IdleTimeout.TotalSeconds:0.#} s"));
            else Take(ScaleSteps.Hold, peak, Text($"for {(now - since).TotalSeconds:0.#} s at most {peak} were wanted"));
        }

        public void Pause()
        {
            if (policy.Pause == Endpoints.Pause.None) return;
            Take(ScaleSteps.Pause, 0, "paused");
            if (policy.Pause == Endpoints.Pause.Refuse) refusal = new Refusal("it is paused (scaling.pause is REFUSE)", DateTimeOffset.MaxValue);
        }

        public void Spend()
        {
            var spent = next.Spending;
            if (policy.DailyWorkerTime == TimeSpan.Zero || spent.Used < policy.DailyWorkerTime) return;
            var until = new DateTimeOffset(spent.Day.AddDays(1), TimeOnly.MinValue, TimeSpan.Zero);
            var why = Text($"{spent.Used.TotalSeconds:0} worker-seconds were used since 00:00 UTC, the day's limit is {policy.DailyWorkerTime.TotalSeconds:0}");
            Take(ScaleSteps.Spend, 0, why);
            refusal ??= new Refusal(why, until, "its limit for today is used up");
        }

        private (int, string) Concurrent()
        {
            var (workers, panic, why) = ConcurrencyDemand.Workers(policy, load, next.Panic, now);
            next = next with { Panic = panic };
            return (workers, why);
        }

        /// <summary>Once in a stable window, which SLO and CONCURRENCY promise where nobody says otherwise.</summary>
        private bool Calm => policy.Scaler is Scaler.Slo or Scaler.Concurrency && policy.ScaleInDelay == TimeSpan.Zero;

        /// <summary>How much longer nothing must be wanted. Some that went in the same quiet time were its scale-in; that happens only where as much as half of the
        /// window was left, so what stays does not stay for longer than that.</summary>
        private TimeSpan UntilNone(DateTimeOffset idle)
        {
            var until = idle + policy.IdleTimeout;
            if (Calm && next.ScaledInAt is { } last && last >= idle && last + policy.StableWindow > until) until = last + policy.StableWindow;
            return until - now;
        }

        /// <summary>How much longer fewer workers must be wanted while some stay. By itself SLO waits for as long as ten starts take: so much
        /// may a worker cost that was kept for nothing, beside one that must start again. It and CONCURRENCY, whose mean falls slowly through one
        /// number after another, scale in once in a stable window.</summary>
        private TimeSpan UntilFewer(DateTimeOffset since, TimeSpan untilNone)
        {
            if (policy.ScaleInDelay > TimeSpan.Zero) return policy.ScaleInDelay - (now - since);
            var delay = policy.IdleTimeout;
            if (!Calm) return delay - (now - since);
            // All go soon: one scale-in instead of two.
            if (untilNone < policy.StableWindow / 2) return TimeSpan.MaxValue;
            if (policy.Scaler == Scaler.Slo && StartsWorthWaiting * next.Learned.Start < delay) delay = StartsWorthWaiting * next.Learned.Start;
            var until = since + delay;
            if (next.ScaledInAt is { } last && last + policy.StableWindow > until) until = last + policy.StableWindow;
            return until - now;
        }

        private void Take(string step, int workers, string why)
        {
            wanted = workers;
            steps.Add(new ScaleStep(step, workers, why));
        }
    }

    internal static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    /// <summary>Workers for so many requests at once.</summary>
    internal static int WorkersFor(double requests, double each) =>
        (int)Math.Min(int.MaxValue / 2, Math.Ceiling(Math.Max(0, requests) / Math.Max(1e-9, each) - 1e-9));
}
