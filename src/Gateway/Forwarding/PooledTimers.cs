using System.Collections.Concurrent;

namespace Sluice.Gateway.Forwarding;

/// <summary>Pools the timers of running requests, so that a request does not allocate a timer.</summary>
public sealed class PooledTimers
{
    /// <summary>The maximum number of pooled timers.</summary>
    private const int MaxKept = 1024;

    private readonly ConcurrentQueue<CancellationTokenSource> kept = [];

    /// <summary>Rents a timer.</summary>
    public CancellationTokenSource Rent() => kept.TryDequeue(out var timer) ? timer : new CancellationTokenSource();

    /// <summary>Returns a timer to the pool. Callers must not use its token after that.</summary>
    public void Return(CancellationTokenSource timer)
    {
        if (timer.TryReset() && kept.Count < MaxKept) kept.Enqueue(timer);
        else timer.Dispose();
    }
}
