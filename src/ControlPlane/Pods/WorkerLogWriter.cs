using System.Collections.Concurrent;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Sluice.Hosting;
using Sluice.Storage.Background;
using Sluice.Storage.Fleet;

namespace Sluice.ControlPlane.Pods;

/// <summary>
/// Stores the output of this host's workers in their logs, an <see cref="Interval"/> after the first new line and at
/// shutdown. What Redis does not accept now is stored later, as far as <see cref="WorkerLog.Burst"/> allows.
/// </summary>
internal sealed class WorkerLogWriter(WorkerLogStore store, TimeProvider time, ILogger<WorkerLogWriter> logger)
    : BackgroundLoop(time, logger)
{
    /// <summary>How late a line may be stored.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);

    /// <summary>The last stored lines that the first lines of an adopted worker are compared with.</summary>
    private const int Compared = 200;

    /// <summary>
    /// How long the first lines of an adopted worker wait: its host repeats its last lines, and all of them are needed
    /// to find those that are stored.
    /// </summary>
    private static readonly TimeSpan AdoptionPause = TimeSpan.FromSeconds(2);

    private readonly TimeProvider time = time;
    private readonly ConcurrentDictionary<string, WorkerLog> logs = [];
    private readonly ConcurrentDictionary<WorkerLog, byte> changed = [];
    private readonly Channel<bool> changes = Channel.CreateBounded<bool>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    /// <summary>Stores each line of a worker from now on, and the lines that it has written.</summary>
    public void Attach(string endpointId, RunningPod running)
    {
        var log = new WorkerLog(endpointId, running.Order.PodId, running.Adopted ? time.GetUtcNow() : null);
        logs[log.PodId] = log;
        running.Listen(line =>
        {
            log.Add(line, time.GetUtcNow());
            Mark(log);
        });
    }

    /// <summary>Adds why a worker has ended, as the last line of its log.</summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="podId">The worker.</param>
    /// <param name="text">Why it has ended.</param>
    public void End(string endpointId, string podId, string text)
    {
        // A worker whose program did not start has no log yet.
        if (!logs.TryRemove(podId, out var log)) log = new WorkerLog(endpointId, podId, adoptedAt: null);
        log.AddSystem(text, time.GetUtcNow());
        Mark(log);
    }

    /// <summary>Forgets a worker that another gateway manages now.</summary>
    public void Release(string podId) => logs.TryRemove(podId, out _);

    /// <summary>Stores the lines that wait.</summary>
    public async Task StoreAsync(CancellationToken ct)
    {
        foreach (var log in changed.Keys)
        {
            changed.TryRemove(log, out _);
            try
            {
                await StoreAsync(log, ct);
            }
            catch
            {
                Mark(log);
                throw;
            }
        }
    }

    /// <summary>Notes that a log has lines to store. Without such a log, the loop waits and costs nothing.</summary>
    private void Mark(WorkerLog log)
    {
        changed[log] = 0;
        changes.Writer.TryWrite(true);
    }

    protected override async Task RunAsync(CancellationToken ct)
    {
        try
        {
            while (true)
            {
                await changes.Reader.ReadAsync(ct);
                await Task.Delay(Interval, time, ct);
                await TryStoreAsync(ct);
            }
        }
        finally
        {
            // The last lines of the workers that this gateway has stopped.
            if (ct.IsCancellationRequested) await TryStoreAsync(CancellationToken.None);
        }
    }

    private async Task TryStoreAsync(CancellationToken ct)
    {
        try
        {
            await StoreAsync(ct).WaitAsync(TimeSpan.FromSeconds(5), time, ct);
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            Failures.Report("Storing the output of workers", e);
        }
    }

    private async Task StoreAsync(WorkerLog log, CancellationToken ct)
    {
        if (log.AdoptedAt is { } adopted && time.GetUtcNow() < adopted + AdoptionPause)
        {
            Mark(log);
            return;
        }

        IReadOnlyList<string> stored = log.AdoptedAt is not null
            ? [.. (await store.TailAsync(log.EndpointId, log.PodId, Compared, ct)).Select(l => l.Text)]
            : [];
        var lines = log.Peek(stored);
        if (lines.Count == 0) return;
        await store.AppendAsync(log.EndpointId, log.PodId, lines, ct);
        log.Remove(lines.Count);
    }
}
