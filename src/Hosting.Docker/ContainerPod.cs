using System.Globalization;
using Sluice.Domain.Fleet;
using Sluice.Shared;

namespace Sluice.Hosting.Docker;

/// <summary>
/// A pod that runs as a container. It watches the container's exit and log through the daemon, and retries while the
/// daemon is unavailable.
/// </summary>
internal sealed class ContainerPod : RunningPod
{
    /// <summary>Pause between two calls while the daemon is unavailable.</summary>
    private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(0.5);

    /// <summary>How long the end of the log may arrive after the exit.</summary>
    private static readonly TimeSpan LogsWithin = TimeSpan.FromSeconds(10);

    /// <summary>Log lines that are read of a container that was adopted.</summary>
    private const int EarlierLines = 40;

    private readonly EngineClient engine;
    private readonly TimeProvider time;
    private readonly Action<string> onLine;
    private readonly CancellationTokenSource ending = new();
    private readonly TaskCompletionSource<string> lost = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public ContainerPod(EngineClient engine, ContainerStart start, TimeProvider time, Action<string> onLine)
        : base(start.Order, start.Address, start.Ordered, start.Started)
    {
        this.engine = engine;
        this.time = time;
        this.onLine = onLine;
        Container = start.Container;
        HostStages = start.Stages;
        Adopted = start.Adopted;
        Exited = WatchAsync(start.Adopted);
    }

    /// <summary>The container's id.</summary>
    public string Container { get; }

    public override string Name => $"container {Container[..12]}";

    public override IReadOnlyList<StartStage> HostStages { get; }

    public override bool Adopted { get; }

    public override Task<string> Exited { get; }

    public override bool Unsure => lost.Task.IsCompleted;

    /// <summary>Stops watching a container whose exit cannot be observed because its daemon is unavailable.</summary>
    public void StopWatching(string reason) => lost.TrySetResult(reason);

    public override void Dispose()
    {
        ending.Cancel();
        ending.Dispose();
    }

    private async Task<string> WatchAsync(bool adopted)
    {
        await Task.Yield();
        var ct = ending.Token;
        var logs = FollowAsync(adopted ? EarlierLines : 0, ct);
        var exit = WaitAsync(ct);
        if (await Task.WhenAny(exit, lost.Task) == lost.Task) return await lost.Task;
        await Task.WhenAny(logs, Task.Delay(LogsWithin, time, ct));
        return DescribeExit(await exit);
    }

    private async Task<string> WaitAsync(CancellationToken ct)
    {
        while (true)
        {
            try
            {
                var code = await engine.WaitAsync(Container, ct);
                var state = (await engine.InspectAsync(Container, ct))?.State;
                var memory = Deployment.Template.Container.Memory;
                return state is { OomKilled: true }
                    ? $"killed: out of memory{(memory > 0 ? $" (limit {FormatBytes(memory)})" : "")}"
                    : ExitCode.Describe(code);
            }
            catch (EngineException e) when (e.Status == System.Net.HttpStatusCode.NotFound)
            {
                return "its container was removed";
            }
            catch (EngineException)
            {
                await Task.Delay(RetryPause, time, ct);
            }
        }
    }

    private async Task FollowAsync(int tail, CancellationToken ct)
    {
        var (since, ended) = ("0", false);
        while (true)
        {
            try
            {
                await using var stream = await engine.LogsAsync(Container, since, tail, follow: !ended, ct);
                await foreach (var line in new LogFrames(stream).LinesAsync(ct))
                {
                    // Example: "2026-11-21T17:00:00.123456789Z text". After an interruption, reading continues after
                    // this time, so that no line is read twice.
                    var space = line.IndexOf(' ', StringComparison.Ordinal);
                    if (space > 0 && UnixNanoseconds(line[..space]) is { } at) since = at;
                    var text = space > 0 ? line[(space + 1)..] : line;
                    onLine(RecordLine(text));
                }

                if (ended) return;
                ended = await HasEndedAsync(ct);
                tail = 0;
                // The daemon may close a followed stream before the last lines, so they are requested once more.
                if (ended) continue;
            }
            catch (EngineException e) when (e.Status is not null)
            {
                return;
            }
            catch (Exception e) when (e is EngineException or IOException or HttpRequestException)
            {
                // The daemon is unavailable; the container may still run.
            }
            catch (OperationCanceledException)
            {
                return;
            }

            tail = 0;
            await Task.WhenAny(Task.Delay(RetryPause, time, ct));
            if (ct.IsCancellationRequested) return;
        }
    }

    /// <summary>Whether the container has exited. The log stream also ends when the daemon stops.</summary>
    private async Task<bool> HasEndedAsync(CancellationToken ct) =>
        await engine.InspectAsync(Container, ct) is not { State.Running: true };

    /// <summary>
    /// One nanosecond after a log timestamp, in the format of the Engine API's <c>since</c> parameter.
    /// </summary>
    private static string? UnixNanoseconds(string text)
    {
        if (text.Length < 20) return null;
        if (!DateTimeOffset.TryParse(text[..19] + "Z", CultureInfo.InvariantCulture, out var at)) return null;
        var dot = text.IndexOf('.', StringComparison.Ordinal);
        var digits = dot < 0 ? "" : text[(dot + 1)..].TrimEnd('Z');
        var nine = digits.PadRight(9, '0')[..9];
        if (!long.TryParse(nine, CultureInfo.InvariantCulture, out var nanoseconds)) return null;
        var seconds = at.ToUnixTimeSeconds();
        return nanoseconds == 999_999_999 ? $"{seconds + 1}.000000000" : $"{seconds}.{nanoseconds + 1:D9}";
    }

    private static string FormatBytes(long bytes) => bytes % (1 << 20) == 0 ? $"{bytes >> 20} MiB" : $"{bytes} bytes";
}

/// <summary>A container that runs, and the facts about its start.</summary>
/// <param name="Order">The order that the container was created for.</param>
/// <param name="Container">The container's id.</param>
/// <param name="Address">The address of the worker inside the container.</param>
/// <param name="Ordered">Timestamp of the order.</param>
/// <param name="Started">Timestamp of when the container began to run.</param>
/// <param name="Stages">The stages of the start that the host measured before the container ran.</param>
/// <param name="Adopted">Whether the container was found running.</param>
internal sealed record ContainerStart(
    PodSpec Order,
    string Container,
    WorkerAddress Address,
    long Ordered,
    long Started,
    IReadOnlyList<StartStage> Stages,
    bool Adopted = false);
