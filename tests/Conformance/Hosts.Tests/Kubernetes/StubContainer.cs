using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Sluice.Hosts.Tests.Kubernetes;

/// <summary>The process group of a pod, and its log with the timestamps that a kubelet writes.</summary>
internal sealed partial class StubContainer
{
    private const int Term = 15, Kill = 9;

    private readonly Process process;
    private readonly Lock gate = new();
    private readonly List<string> lines = [];
    private TaskCompletionSource more = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool over;
    private DateTime last;

    public StubContainer(ProcessStartInfo info)
    {
        process = Process.Start(info)!;
        Exited = RunAsync();
    }

    /// <summary>Completes with the exit code, 128 + the number of a signal.</summary>
    public Task<int> Exited { get; }

    public bool IsRunning => !Exited.IsCompleted;

    public int Lines
    {
        get
        {
            lock (gate) return lines.Count;
        }
    }

    /// <summary>Returns the lines from an index, a task for more, and whether none will come.</summary>
    public (List<string> Lines, Task More, bool Over) Read(int from)
    {
        lock (gate) return (lines[from..], more.Task, over);
    }

    /// <summary>Sends SIGTERM, and SIGKILL to the group after a time.</summary>
    /// <param name="grace">The time; zero: SIGKILL only.</param>
    /// <param name="onlyFirst">Whether only the first process gets SIGTERM, as in a container.</param>
    public async Task EndAsync(TimeSpan grace, bool onlyFirst = false)
    {
        if (Exited.IsCompleted) return;
        if (grace > TimeSpan.Zero)
        {
            _ = Signal(onlyFirst ? process.Id : -process.Id, Term);
            await Task.WhenAny(Exited, Task.Delay(grace, TimeProvider.System));
        }

        _ = Signal(-process.Id, Kill);
        await Exited;
    }

    private async Task<int> RunAsync()
    {
        var output = ReadAsync(process.StandardOutput);
        var errors = ReadAsync(process.StandardError);
        await process.WaitForExitAsync();
        // What the program left behind ends with it, and so does the log.
        _ = Signal(-process.Id, Kill);
        await Task.WhenAll(output, errors);
        lock (gate) over = true;
        Announce();
        return process.ExitCode;
    }

    private async Task ReadAsync(StreamReader reader)
    {
        while (await reader.ReadLineAsync() is { } line)
        {
            lock (gate)
            {
                // Each line has a time of its own, as the kubelet's nanoseconds have in practice.
                var now = TimeProvider.System.GetUtcNow().UtcDateTime;
                last = now > last ? now : last.AddTicks(1);
                lines.Add(last.ToString("yyyy-MM-ddTHH:mm:ss.fffffff'00Z'", CultureInfo.InvariantCulture) + " " + line);
            }

            Announce();
        }
    }

    private void Announce()
    {
        TaskCompletionSource done;
        lock (gate)
        {
            done = more;
            more = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        done.TrySetResult();
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Signal(int pid, int signal);
}
