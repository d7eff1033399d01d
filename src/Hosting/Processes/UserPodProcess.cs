using System.Diagnostics;
using System.Runtime.CompilerServices;
using Sluice.Domain.UserPods;
using Sluice.Hosting.UserPods;
using Sluice.Shared;

namespace Sluice.Hosting.Processes;

/// <summary>A pod of a user that runs, or ran, as a process, with the end of its output.</summary>
internal sealed class UserPodProcess
{
    /// <summary>Lines of the output that are kept.</summary>
    private const int KeptLines = 5000;

    private readonly Lock gate = new();
    private readonly Queue<UserPodLogLine> lines = new();
    private readonly Process process;
    private readonly TimeProvider time;
    private readonly long started;
    private long added;
    private DateTimeOffset last;
    private TaskCompletionSource changed = New();

    /// <param name="process">The process, whose streams are redirected.</param>
    /// <param name="start">The start that it belongs to.</param>
    /// <param name="addresses">The addresses of its ports.</param>
    /// <param name="time">The clock.</param>
    public UserPodProcess(
        Process process, UserPodStart start, IReadOnlyList<UserPodAddress> addresses, TimeProvider time)
    {
        this.process = process;
        this.time = time;
        started = time.GetTimestamp();
        Id = process.Id;
        Start = start;
        Addresses = addresses;
        var output = new ProcessOutput(process, Add);
        Exited = WaitAsync(output);
    }

    public int Id { get; }

    public UserPodStart Start { get; }

    public IReadOnlyList<UserPodAddress> Addresses { get; }

    /// <summary>Completes when the process has exited, with how it ended and how long it ran.</summary>
    public Task<(string Exit, TimeSpan Ran)> Exited { get; }

    /// <summary>Returns the pod as its host reports it.</summary>
    public UserPodInstance Describe()
    {
        var end = Exited.IsCompletedSuccessfully ? Exited.Result : ((string Exit, TimeSpan Ran)?)null;
        return new UserPodInstance
        {
            PodId = Start.Pod.Id,
            State = end is null ? UserPodInstanceState.Running : UserPodInstanceState.Exited,
            Fingerprint = Start.Fingerprint,
            Devices = Start.State.Devices,
            Exit = end?.Exit ?? "",
            Ran = end?.Ran ?? time.GetElapsedTime(started),
            Addresses = end is null ? Addresses : [],
        };
    }

    /// <summary>Returns lines of the output.</summary>
    public async IAsyncEnumerable<UserPodLogLine> ReadAsync(
        UserPodLogRange range, [EnumeratorCancellation] CancellationToken ct)
    {
        var (next, left) = (0L, range.Tail);
        while (true)
        {
            List<UserPodLogLine> batch;
            Task signal;
            lock (gate)
            {
                var first = added - lines.Count;
                batch = [.. lines.Skip((int)Math.Max(0, next - first))];
                next = added;
                signal = changed.Task;
            }

            if (left is { } tail) batch = [.. batch.TakeLast(tail)];
            left = null;
            foreach (var line in batch.Where(l => range.Since is not { } since || l.At > since)) yield return line;
            if (!range.Follow || (Exited.IsCompleted && signal == Volatile.Read(ref changed).Task)) yield break;
            await Task.WhenAny(signal, Exited).WaitAsync(ct);
        }
    }

    private void Add(string text)
    {
        lock (gate)
        {
            // A client continues after the time of the last line that it has, so no two lines have the same one.
            var now = time.GetUtcNow();
            last = now > last ? now : last.AddTicks(1);
            lines.Enqueue(new UserPodLogLine(last, PrintableText.Escape(text, ProcessOutput.MaxLine)));
            added++;
            if (lines.Count > KeptLines) lines.Dequeue();
            var before = changed;
            changed = New();
            before.TrySetResult();
        }
    }

    private async Task<(string Exit, TimeSpan Ran)> WaitAsync(ProcessOutput output)
    {
        await process.WaitForExitAsync();
        var ran = time.GetElapsedTime(started);
        // A child process that still runs keeps the output open.
        await Task.WhenAny(output.Ended, Task.Delay(TimeSpan.FromSeconds(1), time));
        var code = process.ExitCode;
        process.Dispose();
        return (ExitCode.Describe(code), ran);
    }

    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
