using System.Collections.Concurrent;

namespace Sluice.Gateway.Forwarding;

/// <summary>Timers of running requests, used again: a timer a request would be made and dropped for nothing.</summary>
public sealed class RunTimers
{
    /// <summary>More than this many at once are not kept.</summary>
    private const int MaxKept = 1024;

    private readonly ConcurrentQueue<CancellationTokenSource> kept = [];

    public CancellationTokenSource Rent() => kept.TryDequeue(out var timer) ? timer : new CancellationTokenSource();

    /// <summary>Takes it back; nobody may use its token any more.</summary>
    public void Return(CancellationTokenSource timer)
    {
        if (timer.TryReset() && kept.Count < MaxKept) kept.Enqueue(timer);
        else timer.Dispose();
    }
}
