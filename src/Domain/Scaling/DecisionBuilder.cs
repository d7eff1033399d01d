using Sluice.Domain.Declarations;

namespace Sluice.Domain.Scaling;

/// <summary>Builds one decision: the number of workers so far, the next state, and the steps taken.</summary>
internal sealed class DecisionBuilder(
    ScalePolicy policy, LoadSnapshot load, ScaleState before, ScaleState seen, DateTimeOffset now)
{
    private readonly IScaler scaler = Scalers.Get(policy.Scaler);
    private readonly List<ScaleStep> steps = [];
    private ScaleState next = seen;
    private Refusal? refusal;
    private int wanted;

    public ScaleDecision Build() => new(wanted, next, steps) { Refuses = refusal };

    public void ComputeDemand()
    {
        var demand = scaler.Compute(new ScalerInput(policy, load, before, next, now));
        next = demand.State;
        AddStep(ScaleSteps.Demand, demand.Workers, demand.Why);
    }

    /// <summary>
    /// Requests one worker for requests that started and ended between two passes and are not visible in the load.
    /// </summary>
    public void CoverRecentRequests()
    {
        if (wanted == 0 && before.Completed >= 0 && load.Completed != before.Completed)
            AddStep(ScaleSteps.Recent, 1, "requests ended since the previous decision");
    }

    public void AddBuffer()
    {
        if (wanted == 0 || policy.Buffer <= 0) return;
        var workers = wanted + policy.Buffer;
        AddStep(ScaleSteps.Buffer, workers, Autoscaler.Text($"buffer {policy.Buffer}: {workers}"));
    }

    /// <summary>Returns the minimum number of workers that must run now.</summary>
    public int ApplySchedules()
    {
        var least = policy.Min;
        foreach (var schedule in policy.Schedules)
        {
            if (schedule.Min <= least || !IsActive(schedule)) continue;
            least = schedule.Min;
            if (wanted < least)
                AddStep(ScaleSteps.Schedule, least,
                    Autoscaler.Text($"schedule '{schedule.Cron}' {schedule.TimeZone}: at least {least}"));
        }

        return Math.Min(least, policy.Max);
    }

    public void ApplyBounds(int least)
    {
        var bounded = Math.Clamp(wanted, least, policy.Max);
        if (bounded != wanted)
            AddStep(ScaleSteps.Bounds, bounded, Autoscaler.Text($"limited to {policy.Min}..{policy.Max}: {bounded}"));
    }

    public void LimitStep()
    {
        if (policy.MaxStep == 0) return;
        var window = next.Step;
        if (window.Since is not { } since || now - since >= policy.StepInterval || load.Current < window.From)
            window = new StepWindow(now, load.Current);
        next = next with { Step = window };
        var most = window.From + policy.MaxStep;
        if (wanted <= most || wanted <= load.Current) return;
        var allowed = Math.Max(most, load.Current);
        AddStep(ScaleSteps.Step, allowed,
            Autoscaler.Text($"at most {policy.MaxStep} more per {policy.StepInterval.TotalSeconds:0.#} s: {allowed}"));
    }

    /// <summary>
    /// Scales in only after fewer workers were wanted for the whole scale-in delay, and then to the highest number
    /// that was wanted during the delay. Scales in to zero only after no worker was wanted for the whole idle
    /// timeout.
    /// </summary>
    public void DelayScaleIn()
    {
        // A worker of an earlier declaration serves the endpoint until its successor is ready.
        var current = load.Current == 0 && load.Outdated > 0 ? 1 : load.Current;
        if (wanted >= current || current > policy.Max)
        {
            if (wanted < current) AddStep(ScaleSteps.Bounds, policy.Max, Autoscaler.Text($"max is {policy.Max}"));
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
            AddStep(ScaleSteps.Hold, current,
                Autoscaler.Text($"scale-in delayed by {wait.TotalSeconds:0.#} s: {current}"));
            next = next with { LowSince = since, LowPeak = peak, IdleSince = idle };
            return;
        }

        next = next with { LowSince = null, LowPeak = 0, IdleSince = idle, ScaledInAt = now };
        if (untilNone <= TimeSpan.Zero)
            AddStep(ScaleSteps.Hold, 0, Autoscaler.Text($"idle for {policy.IdleTimeout.TotalSeconds:0.#} s: 0"));
        else
            AddStep(ScaleSteps.Hold, peak,
                Autoscaler.Text($"at most {peak} wanted for {(now - since).TotalSeconds:0.#} s: {peak}"));
    }

    public void ApplyPause()
    {
        if (policy.Pause == Pause.None) return;
        AddStep(ScaleSteps.Pause, 0, "paused");
        if (policy.Pause == Pause.Refuse)
            refusal = new Refusal("it is paused (scaling.pause is REFUSE)", DateTimeOffset.MaxValue);
    }

    public void LimitSpending()
    {
        var spent = next.Spending;
        if (policy.DailyWorkerTime == TimeSpan.Zero || spent.Used < policy.DailyWorkerTime) return;
        var until = new DateTimeOffset(spent.Day.AddDays(1), TimeOnly.MinValue, TimeSpan.Zero);
        var why = Autoscaler.Text($"{spent.Used.TotalSeconds:0} worker-seconds used since 00:00 UTC; ")
            + Autoscaler.Text($"the daily limit is {policy.DailyWorkerTime.TotalSeconds:0}");
        AddStep(ScaleSteps.Spend, 0, why);
        refusal ??= new Refusal(why, until, "its daily limit is reached");
    }

    private bool IsActive(ScheduledMinimum schedule) =>
        CronSchedule.GetOrParse(schedule.Cron, schedule.TimeZone)?.Covers(now, schedule.For) == true;

    private bool HasSpacedScaleIns => scaler.SpacesScaleIns && policy.ScaleInDelay == TimeSpan.Zero;

    /// <summary>
    /// Returns how much longer no worker must be wanted before the last one stops. A scale-in to fewer workers
    /// during the same idle time postpones the last one by up to a stable window after it. Such a scale-in happens
    /// only if at least half of the window was left, so the remaining workers run at most half a window longer.
    /// </summary>
    private TimeSpan UntilNone(DateTimeOffset idle)
    {
        var until = idle + policy.IdleTimeout;
        if (HasSpacedScaleIns && next.ScaledInAt is { } last && last >= idle && last + policy.StableWindow > until)
            until = last + policy.StableWindow;
        return until - now;
    }

    /// <summary>
    /// Returns how much longer fewer workers must be wanted before some stop while others keep running. A scaler
    /// with spaced scale-ins scales in at most once per stable window.
    /// </summary>
    private TimeSpan UntilFewer(DateTimeOffset since, TimeSpan untilNone)
    {
        if (policy.ScaleInDelay > TimeSpan.Zero) return policy.ScaleInDelay - (now - since);
        var delay = scaler.GetScaleInDelay(policy, next);
        if (!HasSpacedScaleIns) return delay - (now - since);
        // All workers stop soon: one scale-in replaces two.
        if (untilNone < policy.StableWindow / 2) return TimeSpan.MaxValue;
        var until = since + delay;
        if (next.ScaledInAt is { } last && last + policy.StableWindow > until)
            until = last + policy.StableWindow;
        return until - now;
    }

    private void AddStep(string step, int workers, string why)
    {
        wanted = workers;
        steps.Add(new ScaleStep(step, workers, why));
    }
}
