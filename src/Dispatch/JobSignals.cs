using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Sluice.Storage.Background;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;

namespace Sluice.Dispatch;

/// <summary>
/// Notifies callers in this gateway that wait for a job when the job changes. Messages are hints: each caller also
/// polls, first after <see cref="FirstPoll"/>, then at growing intervals of up to <see cref="LastPoll"/>.
/// </summary>
public sealed class JobSignals(GatewayId gateway, Dispatcher dispatcher, RedisStore redis, TimeProvider time,
    ILogger<JobSignals> logger) : BackgroundLoop(time, logger)
{
    /// <summary>
    /// The poll intervals, which cover lost messages. They grow, because thousands of callers may wait for a long time.
    /// </summary>
    public static readonly TimeSpan FirstPoll = TimeSpan.FromSeconds(1);
    public static readonly TimeSpan LastPoll = TimeSpan.FromSeconds(8);

    private readonly TimeProvider time = time;
    private readonly ConcurrentDictionary<string, Waiters> waiting = [];

    /// <summary>The name of this gateway in the watcher list of a job.</summary>
    public string Watcher => gateway.Value;

    /// <summary>Registers for changes of a job. Call it before the job is read, so that no change is missed.</summary>
    public JobWatch Watch(string endpointId, string id) => new(this, endpointId + "|" + id, time);

    /// <summary>Notifies the waiting callers that a job changed.</summary>
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

    /// <summary>The callers that wait for one job. They are counted, so that the last one removes the entry.</summary>
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
