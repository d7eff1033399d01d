using Sluice.Core.Endpoints;

namespace Sluice.Core.Autoscaling;

/// <summary>
/// CONCURRENCY: Knative's two windows (a stable one, and a short one that starts a panic, in which nothing is scaled in), with
/// exponentially weighted means, one of Knative's own two aggregations. Unlike Knative's, the panic is measured against the
/// workers that run <i>and start</i>: a slow start does not look like a growing panic (knative/serving#13284).
/// </summary>
internal static class ConcurrencyDemand
{
    public static Panic Observe(ScalePolicy policy, Panic panic, double concurrency, TimeSpan elapsed) => panic with
    {
        // An exponentially weighted mean of tau has the variance of a window of two.
        Stable = panic.Stable.Add(concurrency, elapsed, policy.StableWindow / 2),
        Burst = panic.Burst.Add(concurrency, elapsed, policy.PanicWindow / 2),
    };

    public static (int Workers, Panic Next, string Why) Workers(ScalePolicy policy, Load load, Panic panic, DateTimeOffset now)
    {
        var each = RequestCountDemand.Target(policy, load) * (policy.TargetUtilization / 100.0);
        var stable = Autoscaler.WorkersFor(panic.Stable.Mean - Negligible, each);
        var soon = Autoscaler.WorkersFor(panic.Burst.Mean - Negligible, each);
        // From zero at once, as Knative's activator does; a mean needs a look to form.
        if (load.Queued + load.Busy > 0) (stable, soon) = (Math.Max(1, stable), Math.Max(1, soon));
        if (soon * 100 >= policy.PanicThreshold * Math.Max(1, load.Current)) panic = panic with { Since = now };
        else if (panic.Since is { } since && now - since > policy.StableWindow) panic = panic with { Since = null, Most = 0 };
        var (window, brief) = (policy.StableWindow.TotalSeconds, policy.PanicWindow.TotalSeconds);
        var means = Autoscaler.Text(
            $"{panic.Stable.Mean:0.##} requests at once over {window:0} s, {panic.Burst.Mean:0.##} over {brief:0} s, {each:0.##} a worker");
        if (panic.Since is null) return (stable, panic, $"{means}: {stable}");
        panic = panic with { Most = Math.Max(panic.Most, Math.Max(stable, soon)) };
        return (panic.Most, panic, $"{means}, panic: {panic.Most}");
    }

    /// <summary>Below this mean concurrency an endpoint is idle: an exponential tail never ends.</summary>
    private const double Negligible = 0.001;
}
