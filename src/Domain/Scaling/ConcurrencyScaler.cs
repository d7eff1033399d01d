using Sluice.Domain.Declarations;

namespace Sluice.Domain.Scaling;

/// <summary>
/// The CONCURRENCY scaler: Knative's stable window and shorter panic window, with exponentially weighted means, one of
/// Knative's two aggregations. There is no scale-in during a panic. Unlike in Knative, the panic threshold counts
/// workers that run <i>and start</i>, so that a slow start does not look like a growing panic (knative/serving#13284).
/// </summary>
internal sealed class ConcurrencyScaler : IScaler
{
    public static Panic Observe(ScalePolicy policy, Panic panic, double concurrency, TimeSpan elapsed) => panic with
    {
        // An exponentially weighted mean with time constant tau has the variance of a window of 2 tau.
        Stable = panic.Stable.Add(concurrency, elapsed, policy.StableWindow / 2),
        Burst = panic.Burst.Add(concurrency, elapsed, policy.PanicWindow / 2),
    };

    /// <summary>The mean falls slowly through all intermediate numbers; without spacing, each would scale in.</summary>
    public bool SpacesScaleIns => true;

    public ScalerDemand Compute(in ScalerInput input)
    {
        var (policy, load, now) = (input.Policy, input.Load, input.Now);
        var panic = input.State.Panic;
        var each = RequestCountScaler.Target(policy, load) * (policy.TargetUtilization / 100.0);
        var stable = Autoscaler.WorkersFor(panic.Stable.Mean - Negligible, each);
        var soon = Autoscaler.WorkersFor(panic.Burst.Mean - Negligible, each);
        // Scales out from zero immediately, as Knative's activator does: the mean needs one pass to form.
        if (load.Queued + load.Busy > 0) (stable, soon) = (Math.Max(1, stable), Math.Max(1, soon));
        if (soon * 100 >= policy.PanicThreshold * Math.Max(1, load.Current)) panic = panic with { Since = now };
        else if (panic.Since is { } since && now - since > policy.StableWindow)
            panic = panic with { Since = null, Most = 0 };
        var (window, brief) = (policy.StableWindow.TotalSeconds, policy.PanicWindow.TotalSeconds);
        var means = Autoscaler.Text($"mean concurrency {panic.Stable.Mean:0.##} over {window:0} s, ")
            + Autoscaler.Text($"{panic.Burst.Mean:0.##} over {brief:0} s, {each:0.##} per worker");
        if (panic.Since is null)
            return new ScalerDemand(stable, $"{means}: {stable}", input.State with { Panic = panic });
        panic = panic with { Most = Math.Max(panic.Most, Math.Max(stable, soon)) };
        var why = $"{means}, panic: {panic.Most}";
        return new ScalerDemand(panic.Most, why, input.State with { Panic = panic });
    }

    /// <summary>
    /// Mean concurrency below which an endpoint is idle: an exponentially weighted mean never reaches zero.
    /// </summary>
    private const double Negligible = 0.001;
}
