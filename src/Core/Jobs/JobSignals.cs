using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Sluice.Core.Dispatch;
using Sluice.Core.Redis;

namespace Sluice.Core.Jobs;

/// <summary>
/// Tells those who wait for a job, in this gateway, that it changed. Messages are hints: whoever waits also looks by itself,
/// after <see cref="FirstPoll"/>, and then ever more rarely, each <see cref="LastPoll"/> at last.
/// </summary>
public sealed class JobSignals(GatewayId gateway, Dispatcher dispatcher, RedisStore redis, TimeProvider time,
    ILogger<JobSignals> logger) : BackgroundLoop(time, logger)
{
    /// <summary>The net under lost messages: thousands who wait for long must not be a load.</summary>
    public static readonly TimeSpan FirstPoll = TimeSpan.FromSeconds(1);
    public static readonly TimeSpan LastPoll = TimeSpan.FromSeconds(8);

    private readonly TimeProvider time = time;
    private readonly ConcurrentDictionary<string, Waiters> waiting = [];

    /// <summary>The gateway's name for a job's list of watchers.</summary>
    public string Watcher => gateway.Value;

    /// <summary>Registers for a job's changes; to be done before it is looked at, so that none is missed.</summary>
    public JobWatch Watch(string endpointId, string id) => new(this, endpointId + "|" + id, time);

    /// <summary>A job of this gateway changed.</summary>
    public void Changed(string endpointId, string id)
    {
        if (waiting.TryGetValue(endpointId + "|" + id, out var waiters)) waiters.Wake();
    }

    internal Waiters Enter(string key)
    {
        while (true)
        {
            var waiters = waiting.GetOrAdd(key, _ => new Waiters());
            if (waiters.Enter()) return waiters;
        }
    }

    internal void Leave(string key, Waiters waiters)
    {
        if (waiters.Leave()) waiting.TryRemove(KeyValuePair.Create(key, waiters));
    }

    protected override Task RunAsync(CancellationToken ct) =>
        redis.SubscribeAsync(DispatchChannels.Jobs(gateway.Value), OnMessage, ct);

    private void OnMessage(string message)
    {
        var parts = message.Split('|', 3);
        if (parts[0] == "changed") Changed(parts[1], parts[2]);
        else if (parts[0] == "stop") dispatcher.StopJob(parts[1], parts[2]);
    }

    /// <summary>All who wait for one job: counted, so that the last one out clears away.</summary>
    internal sealed class Waiters
    {
        private readonly Lock gate = new();
        private TaskCompletionSource next = New();
        private int count;
        private bool closed;

        public bool Enter()
        {
            lock (gate)
            {
                if (closed) return false;
                count++;
                return true;
            }
        }

        public bool Leave()
        {
            lock (gate) return closed = --count == 0;
        }

        public Task Next
        {
            get
            {
                lock (gate) return next.Task;
            }
        }

        public void Wake()
        {
            lock (gate)
            {
                next.TrySetResult();
                next = New();
            }
        }

        private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

/// <summary>One caller's wait for a job's changes.</summary>
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
        (this.signals, this.key, this.time) = (signals, key, time);
        waiters = signals.Enter(key);
        next = waiters.Next;
    }

    /// <summary>Ends when the job changed since the last call (or since this watch began), after a poll's time, or at the limit;
    /// whichever comes first.</summary>
    public async Task ChangedAsync(TimeSpan limit, CancellationToken ct)
    {
        var wait = limit < poll ? limit : poll;
        if (wait > TimeSpan.Zero && !next.IsCompleted)
        {
            using var timer = CancellationTokenSource.CreateLinkedTokenSource(ct);
            await Task.WhenAny(next, Task.Delay(wait, time, timer.Token));
            await timer.CancelAsync();
        }

        poll = next.IsCompleted ? JobSignals.FirstPoll : poll * 2 < JobSignals.LastPoll ? poll * 2 : JobSignals.LastPoll;
        next = waiters.Next;
        ct.ThrowIfCancellationRequested();
    }

    public void Dispose() => signals.Leave(key, waiters);
}
