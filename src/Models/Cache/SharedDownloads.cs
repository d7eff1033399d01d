using Sluice.Domain.Fleet;

namespace Sluice.Models.Cache;

/// <summary>
/// Runs each download once for all callers of this process. A download is cancelled when its last caller is.
/// </summary>
internal sealed class SharedDownloads
{
    private readonly Lock gate = new();
    private readonly Dictionary<string, Run> runs = [];

    /// <summary>Starts a download, or joins the one with the same key, and waits for its end.</summary>
    /// <param name="key">The key.</param>
    /// <param name="start">Starts the download with a receiver of its progress.</param>
    /// <param name="progress">Receives the progress.</param>
    /// <param name="ct">Ends the wait of this caller.</param>
    public async Task JoinAsync(
        string key,
        Func<Action<StartProgress>, CancellationToken, Task> start,
        Action<StartProgress> progress,
        CancellationToken ct)
    {
        Run run;
        StartProgress? latest;
        lock (gate)
        {
            if (!runs.TryGetValue(key, out run!)) runs[key] = run = new Run();
            run.Receivers.Add(progress);
            latest = run.Latest;
            run.Task ??= RunAsync(key, run, start);
        }

        if (latest is { } step) progress(step);
        try
        {
            await run.Task.WaitAsync(ct);
        }
        finally
        {
            await LeaveAsync(key, run, progress);
        }
    }

    private async Task RunAsync(string key, Run run, Func<Action<StartProgress>, CancellationToken, Task> start)
    {
        await Task.Yield();
        try
        {
            await start(Report, run.Cancel.Token);
        }
        finally
        {
            // A later caller starts again; those that have joined see this result.
            lock (gate)
                if (runs.GetValueOrDefault(key) == run) runs.Remove(key);
        }

        void Report(StartProgress step)
        {
            Action<StartProgress>[] all;
            lock (gate)
            {
                run.Latest = step;
                all = [.. run.Receivers];
            }

            foreach (var receive in all) receive(step);
        }
    }

    private async Task LeaveAsync(string key, Run run, Action<StartProgress> progress)
    {
        lock (gate)
        {
            run.Receivers.Remove(progress);
            if (run.Receivers.Count > 0) return;
            if (runs.GetValueOrDefault(key) == run) runs.Remove(key);
        }

        await run.Cancel.CancelAsync();
    }

    private sealed class Run
    {
        public Task? Task { get; set; }

        public List<Action<StartProgress>> Receivers { get; } = [];

        /// <summary>What a caller that joins sees first; null: nothing was reported yet.</summary>
        public StartProgress? Latest { get; set; }

        public CancellationTokenSource Cancel { get; } = new();
    }
}
