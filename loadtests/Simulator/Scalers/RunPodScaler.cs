using Sluice.Domain.Fleet;

namespace Sluice.Simulator.Scalers;

/// <summary>
/// RunPod's two scalers, implemented from its documentation. REQUEST_COUNT requires ceil((inQueue + inProgress) /
/// scalerValue) workers. QUEUE_DELAY adds a worker when a request has waited longer than scalerValue seconds. The
/// documentation does not say how many; here it adds the first worker immediately, and then one more each time the same
/// duration has passed again. Each worker stops separately after it was idle for the idle timeout. Starting workers are
/// never stopped.
/// </summary>
public sealed class RunPodScaler(bool queueDelay, double scalerValue, TimeSpan idleTimeout, int max) : IContender
{
    private DateTimeOffset lastAdded = DateTimeOffset.MinValue;

    public string Name => queueDelay ? $"RunPod QUEUE_DELAY {scalerValue:0} s, idle {idleTimeout.TotalSeconds:0} s"
        : $"RunPod REQUEST_COUNT {scalerValue:0}, idle {idleTimeout.TotalSeconds:0} s";

    public TimeSpan Interval => TimeSpan.FromSeconds(1);

    public bool IsTriggered(SimEndpoint endpoint) => true;

    public Orders Decide(SimEndpoint endpoint, DateTimeOffset now)
    {
        var current = endpoint.Workers.FindAll(w => w is { Gone: false, Drained: false });
        var desired = Math.Min(max, queueDelay ? ByDelay(endpoint, current.Count, now)
            : (int)Math.Ceiling((endpoint.Queued + endpoint.Running) / scalerValue));
        if (desired > current.Count)
        {
            lastAdded = now;
            return new Orders(desired - current.Count, []);
        }

        if (endpoint.Queued > 0) return Orders.None;
        return new Orders(0,
            [.. current.Where(w => w.State == PodState.Ready && w.Requests.Count == 0
                && now - w.IdleSince >= idleTimeout)
            .Select(w => w.Pod.Id)]);
    }

    public void OnFailed(SimWorker worker, DateTimeOffset now)
    {
    }

    private int ByDelay(SimEndpoint endpoint, int current, DateTimeOffset now)
    {
        if (endpoint.Queued == 0) return 0;
        if (current == 0) return 1;
        var delay = TimeSpan.FromSeconds(scalerValue);
        return endpoint.OldestWait(now) > delay && now - lastAdded >= delay ? current + 1 : current;
    }
}
