namespace Sluice.Dispatch;

/// <summary>Waits for changes of a job on behalf of one caller.</summary>
public sealed class JobWatch : IDisposable
{
    private readonly JobSignals signals;
    private readonly string key;
    private readonly TimeProvider time;
    private readonly JobSignals.Waiters waiters;
    private Task next;
    private TimeSpan poll = JobSignals.FirstPoll;

    internal JobWatch(JobSignals signals, string key, TimeProvider time)
    {
        this.signals = signals;
        this.key = key;
        this.time = time;
        waiters = signals.Enter(key);
        next = waiters.Next;
    }

    /// <summary>
    /// Completes when the job has changed since the last call (or since this watch was created), when the poll interval
    /// has passed, or at the limit: at the first of these events.
    /// </summary>
    public async Task ChangedAsync(TimeSpan limit, CancellationToken ct)
    {
        var wait = limit < poll ? limit : poll;
        if (wait > TimeSpan.Zero && !next.IsCompleted)
        {
            using var timer = CancellationTokenSource.CreateLinkedTokenSource(ct);
            await Task.WhenAny(next, Task.Delay(wait, time, timer.Token));
            await timer.CancelAsync();
        }

        if (next.IsCompleted) poll = JobSignals.FirstPoll;
        else poll = poll * 2 < JobSignals.LastPoll ? poll * 2 : JobSignals.LastPoll;
        next = waiters.Next;
        ct.ThrowIfCancellationRequested();
    }

    public void Dispose() => signals.Leave(key, waiters);
}
