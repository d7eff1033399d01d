using Sluice.Domain.Fleet;

namespace Sluice.Simulator.Scalers;

/// <summary>
/// Knative's pod autoscaler (KPA), class kpa, metric concurrency, implemented from pkg/autoscaler/scaling/autoscaler.go
/// with the defaults of config-autoscaler: a pass every 2 s, one-second buckets, stable window 60 s, panic window 6 s,
/// panic at 200 %, target 70 % of the container's concurrency, max-scale-up-rate 1000, max-scale-down-rate 2. The
/// activator triggers a pass when a request arrives and there is no pod. Two simplifications favour Knative: requests
/// wait in one queue for any pod, and the last pod stops at the first pass after an empty stable window (its grace
/// period is only an upper bound).
/// </summary>
public sealed class KnativeScaler(int min, int max) : IContender
{
    private const double TargetUtilization = 0.70;
    private const double MaxScaleUpRate = 1000;
    private const double MaxScaleDownRate = 2;
    private const double PanicThreshold = 2.0;

    private static readonly TimeSpan StableWindow = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan PanicWindow = TimeSpan.FromSeconds(6);

    private DateTimeOffset? panicTime;
    private int maxPanicPods;

    public string Name => "Knative KPA";

    public TimeSpan Interval => TimeSpan.FromSeconds(2);

    /// <summary>The trigger of the activator.</summary>
    public bool IsTriggered(SimEndpoint endpoint) => endpoint.Workers.TrueForAll(w => w.Gone || w.Drained);

    public Orders Decide(SimEndpoint endpoint, DateTimeOffset now)
    {
        var readyPods = endpoint.Workers.Count(w => w is { Gone: false, Drained: false, State: PodState.Ready });
        return Orders.To(endpoint, Scale(endpoint, readyPods, now));
    }

    public void OnFailed(SimWorker worker, DateTimeOffset now)
    {
    }

    /// <summary>Uses the names of the original source.</summary>
    private int Scale(SimEndpoint endpoint, int readyPods, DateTimeOffset now)
    {
        var targetValue = Math.Max(0.01, endpoint.Options.SlotsPerWorker * TargetUtilization);
        double readyPodsCount = Math.Max(1, readyPods);
        var maxScaleUp = Math.Ceiling(MaxScaleUpRate * readyPodsCount);
        var maxScaleDown = readyPods > 0 ? Math.Floor(readyPodsCount / MaxScaleDownRate) : 0;
        var dspc = Math.Ceiling(endpoint.MeanConcurrency(now, StableWindow) / targetValue);
        var dppc = Math.Ceiling(endpoint.MeanConcurrency(now, PanicWindow) / targetValue);
        // The trigger contains the request that is not in a bucket yet.
        if (endpoint.Queued > 0) (dspc, dppc) = (Math.Max(1, dspc), Math.Max(1, dppc));
        var desiredStable = Math.Min(Math.Max(dspc, maxScaleDown), maxScaleUp);
        var desiredPanic = Math.Min(Math.Max(dppc, maxScaleDown), maxScaleUp);

        var isOverPanicThreshold = dppc / readyPodsCount >= PanicThreshold;
        if (panicTime is null && isOverPanicThreshold) panicTime = now;
        else if (isOverPanicThreshold) panicTime = now;
        else if (panicTime is { } since && since + StableWindow < now) (panicTime, maxPanicPods) = (null, 0);

        var desired = (int)desiredStable;
        if (panicTime is not null)
        {
            maxPanicPods = Math.Max(maxPanicPods, (int)Math.Max(desiredStable, desiredPanic));
            desired = maxPanicPods;
        }

        return Math.Clamp(desired, min, max);
    }
}
