using k8s;
using k8s.Models;
using Sluice.Domain.Fleet;

namespace Sluice.Hosting.Kubernetes;

/// <summary>
/// A worker that runs as a Pod. It follows the Pod through the host's watch, and its log, also while the API server is
/// unavailable for a time.
/// </summary>
internal sealed class KubernetesPod : RunningPod
{
    /// <summary>How long the end of the log may arrive after the exit.</summary>
    private static readonly TimeSpan LogsWithin = TimeSpan.FromSeconds(10);

    private readonly WatchedPod watched;
    private readonly PodLog log;
    private readonly TimeProvider time;
    private readonly Action<string> onLine;
    private readonly CancellationTokenSource ending = new();
    private readonly TaskCompletionSource<string> lost = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<string> leaving = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public KubernetesPod(KubernetesPodStart start, PodLog log, TimeProvider time, Action<string> onLine)
        : base(start.Order, start.Address, start.Ordered, start.Started)
    {
        (watched, this.log, this.time, this.onLine) = (start.Watched, log, time, onLine);
        Uid = start.Uid;
        HostStages = start.Stages;
        Adopted = start.Adopted;
        Exited = WatchAsync();
    }

    /// <summary>The UID of its Pod: a Pod with the same name and another UID is another one.</summary>
    public string Uid { get; }

    public override string Name => $"pod {PodNames.Of(Order.PodId)}";

    public override IReadOnlyList<StartStage> HostStages { get; }

    public override bool Adopted { get; }

    public override Task<string> Exited { get; }

    public override Task<string> Leaving => leaving.Task;

    public override bool Unsure => lost.Task.IsCompleted;

    /// <summary>Whether this gateway asked Kubernetes to end it.</summary>
    public bool IsEnding { get; set; }

    /// <summary>Stops watching a pod whose exit cannot be observed because the API server is unavailable.</summary>
    public void StopWatching(string reason) => lost.TrySetResult(reason);

    public override void Dispose()
    {
        ending.Cancel();
        ending.Dispose();
    }

    private async Task<string> WatchAsync()
    {
        await Task.Yield();
        var ct = ending.Token;
        var lines = log.FollowAsync(Adopted, line => onLine(RecordLine(line)), ct);
        var exit = WaitAsync(ct);
        if (await Task.WhenAny(exit, lost.Task) == lost.Task) return await lost.Task;
        log.End();
        await Task.WhenAny(lines, Task.Delay(LogsWithin, time, ct));
        return DescribeExit(await exit);
    }

    private async Task<string> WaitAsync(CancellationToken ct)
    {
        while (true)
        {
            var (latest, deleted, changed) = watched.Current;
            if (latest is not null && latest.Metadata.Uid == Uid)
            {
                var observed = PodReader.Read(latest);
                if (observed.Leaving is { } why && !IsEnding) leaving.TrySetResult(why);
                if (observed.Progress == PodProgress.Ended) return observed.Reason;
                if (deleted) return observed.Leaving is null || IsEnding ? "its pod was deleted" : observed.Leaving;
            }
            else if (latest is not null || deleted)
            {
                return "its pod was deleted";
            }

            await changed.WaitAsync(ct);
        }
    }
}

/// <summary>A Pod that runs, and the facts about its start.</summary>
/// <param name="Order">The order that it was created for.</param>
/// <param name="Uid">The Pod's UID.</param>
/// <param name="Watched">Its latest object.</param>
/// <param name="Address">The address of the worker.</param>
/// <param name="Ordered">Timestamp of the order.</param>
/// <param name="Started">Timestamp of when it began to run.</param>
/// <param name="Stages">The stages of the start that the host measured before it ran.</param>
/// <param name="Adopted">Whether it was found running.</param>
internal sealed record KubernetesPodStart(
    PodSpec Order,
    string Uid,
    WatchedPod Watched,
    WorkerAddress Address,
    long Ordered,
    long Started,
    IReadOnlyList<StartStage> Stages,
    bool Adopted = false);
