using System.Globalization;
using Sluice.Core.Dispatch;
using Sluice.Core.Endpoints;

namespace Sluice.Core.Workers.Docker;

/// <summary>A pod that is a container. Its exit and its log are watched through the daemon; while that is away, both are waited for.</summary>
internal sealed class ContainerPod : RunningPod
{
    /// <summary>How long after a daemon was lost it is asked again.</summary>
    private static readonly TimeSpan AskAgain = TimeSpan.FromSeconds(0.5);

    /// <summary>How long the log's end may come after the exit.</summary>
    private static readonly TimeSpan LogsWithin = TimeSpan.FromSeconds(10);

    /// <summary>Of the log of a container that was found running.</summary>
    private const int EarlierLines = 40;

    private readonly EngineClient engine;
    private readonly TimeProvider time;
    private readonly Action<string> said;
    private readonly CancellationTokenSource ending = new();
    private readonly TaskCompletionSource<string> lost = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public ContainerPod(EngineClient engine, ContainerStart start, TimeProvider time, Action<string> said)
        : base(start.Order, start.Address, start.Ordered, start.Started)
    {
        (this.engine, this.time, this.said) = (engine, time, said);
        (Container, HostStages, Adopted) = (start.Container, start.Stages, start.Adopted);
        Exited = WatchAsync(start.Adopted);
    }

    /// <summary>The container's id.</summary>
    public string Container { get; }

    public override string Name => $"container {Container[..12]}";

    public override IReadOnlyList<StartStage> HostStages { get; }

    public override bool Adopted { get; }

    public override Task<string> Exited { get; }

    public override bool Unsure => lost.Task.IsCompleted;

    /// <summary>Ends the watch of a container whose end cannot be had: its daemon is away.</summary>
    public void GiveUp(string why) => lost.TrySetResult(why);

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
        return Told(await exit);
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
                return state is { OomKilled: true } ? $"killed: out of memory{(memory > 0 ? $" (limit {Shown(memory)})" : "")}" : ExitCode.Describe(code);
            }
            catch (EngineException e) when (e.Status == System.Net.HttpStatusCode.NotFound)
            {
                return "its container was removed";
            }
            catch (EngineException)
            {
                await Task.Delay(AskAgain, time, ct);
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
                    // "2026-11-21T17:00:00.123456789Z text": the time says where to go on after a break, without a line twice.
                    var space = line.IndexOf(' ', StringComparison.Ordinal);
                    if (space > 0 && UnixNanoseconds(line[..space]) is { } at) since = at;
                    var text = space > 0 ? line[(space + 1)..] : line;
                    said(Hear(text));
                }

                if (ended) return;
                ended = await HasEndedAsync(ct);
                tail = 0;
                // Who follows may be cut off before the very last lines: these are asked for once more.
                if (ended) continue;
            }
            catch (EngineException e) when (e.Status is not null)
            {
                return;
            }
            catch (Exception e) when (e is EngineException or IOException or HttpRequestException)
            {
                // The daemon went; the container may go on.
            }
            catch (OperationCanceledException)
            {
                return;
            }

            tail = 0;
            await Task.WhenAny(Task.Delay(AskAgain, time, ct));
            if (ct.IsCancellationRequested) return;
        }
    }

    /// <summary>Whether the log's end was the container's: it is also that of a daemon that stops.</summary>
    private async Task<bool> HasEndedAsync(CancellationToken ct) => await engine.InspectAsync(Container, ct) is not { State.Running: true };

    /// <summary>One nanosecond after a time as the daemon writes it, as it wants to be told it.</summary>
    private static string? UnixNanoseconds(string text)
    {
        if (text.Length < 20 || !DateTimeOffset.TryParse(text[..19] + "Z", CultureInfo.InvariantCulture, out var at)) return null;
        var dot = text.IndexOf('.', StringComparison.Ordinal);
        var digits = dot < 0 ? "" : text[(dot + 1)..].TrimEnd('Z');
        if (!long.TryParse(digits.PadRight(9, '0')[..9], CultureInfo.InvariantCulture, out var nanoseconds)) return null;
        var seconds = at.ToUnixTimeSeconds();
        return nanoseconds == 999_999_999 ? $"{seconds + 1}.000000000" : $"{seconds}.{nanoseconds + 1:D9}";
    }

    private static string Shown(long bytes) => bytes % (1 << 20) == 0 ? $"{bytes >> 20} MiB" : $"{bytes} bytes";
}

/// <summary>A container that runs, and what is known of its start.</summary>
/// <param name="Order">What it was made from.</param>
/// <param name="Container">Its id.</param>
/// <param name="Address">Where it is reached.</param>
/// <param name="Ordered">Timestamp of the order.</param>
/// <param name="Started">Timestamp of when it began to run.</param>
/// <param name="Stages">What its host did before that.</param>
/// <param name="Adopted">It was found running.</param>
internal sealed record ContainerStart(PodOrder Order, string Container, WorkerAddress Address, long Ordered, long Started,
    IReadOnlyList<StartStage> Stages, bool Adopted = false);
