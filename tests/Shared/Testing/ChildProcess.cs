using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Sluice.Testing;

/// <summary>A process that a test started, with its output lines: tests wait for lines, not for time.</summary>
public sealed partial class ChildProcess : IAsyncDisposable
{
    /// <summary>
    /// Time after which an expected event is considered missing. It is long, because the machine is shared.
    /// </summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly Process process;
    private readonly List<string> lines = [];
    private TaskCompletionSource more = New();

    public ChildProcess(
        string program,
        IReadOnlyList<string> arguments,
        IReadOnlyDictionary<string, string?> environment)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Repository.Root,
        };
        var inherited = start.Environment.Keys.Where(n => n.StartsWith("SLUICE_", StringComparison.Ordinal)).ToList();
        foreach (var name in inherited)
            start.Environment.Remove(name);
        foreach (var (name, value) in environment) start.Environment[name] = value;
        process = Process.Start(start)!;
        process.OutputDataReceived += (_, e) => Take(e.Data);
        process.ErrorDataReceived += (_, e) => Take(e.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public int Id => process.Id;

    public bool HasExited => process.HasExited;

    public int ExitCode => process.ExitCode;

    /// <summary>All output so far.</summary>
    public string Output
    {
        get
        {
            lock (lines) return string.Join('\n', lines);
        }
    }

    /// <summary>Number of lines so far: a mark to wait from.</summary>
    public int Mark
    {
        get
        {
            lock (lines) return lines.Count;
        }
    }

    /// <summary>Waits for the first line after the mark that contains the text, and returns it.</summary>
    public Task<string> LineAsync(string text, int after = 0, TimeSpan? patience = null) =>
        LineAsync(l => l.Contains(text, StringComparison.Ordinal), $"a line with '{text}'", after, patience);

    public async Task<string> LineAsync(
        Func<string, bool> fits, string what, int after = 0, TimeSpan? patience = null)
    {
        var deadline = Task.Delay(patience ?? Patience, TimeProvider.System);
        while (true)
        {
            Task next;
            lock (lines)
            {
                if (lines.Skip(after).FirstOrDefault(fits) is { } line) return line;
                next = more.Task;
            }

            if (await Task.WhenAny(next, process.WaitForExitAsync(), deadline) == deadline)
                throw new TimeoutException($"{what} did not come; the output so far:\n{Output}");
            if (!process.HasExited) continue;
            process.WaitForExit();
            lock (lines)
                if (lines.Skip(after).FirstOrDefault(fits) is { } line) return line;
            throw new InvalidOperationException(
                $"{what} did not come: the process exited with {process.ExitCode}; its output:\n{Output}");
        }
    }

    public void Signal(int signal) => Signal(process.Id, signal);

    /// <summary>Waits for the exit, and returns the exit code.</summary>
    public async Task<int> ExitAsync(TimeSpan? patience = null)
    {
        using var limit = new CancellationTokenSource(patience ?? Patience, TimeProvider.System);
        await process.WaitForExitAsync(limit.Token);
        return process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited)
        {
            Signal(Sigterm);
            var stuck = Task.Delay(Patience, TimeProvider.System);
            if (await Task.WhenAny(process.WaitForExitAsync(), stuck) == stuck) process.Kill();
            await process.WaitForExitAsync();
        }

        process.Dispose();
    }

    public const int Sigint = 2;
    public const int Sigkill = 9;
    public const int Sigterm = 15;
    public const int Sigcont = 18;
    public const int Sigstop = 19;

    /// <summary>Sends a signal to any process by its id.</summary>
    public static void Signal(int pid, int signal) => _ = Kill(pid, signal);

    /// <summary>Waits until no process has this id.</summary>
    public static Task GoneAsync(int pid) =>
        Eventually.HoldsAsync(() => !Directory.Exists($"/proc/{pid}") || IsZombie(pid), $"process {pid} has ended");

    private static bool IsZombie(int pid)
    {
        try
        {
            return File.ReadAllText($"/proc/{pid}/stat").Split(") ")[^1][0] == 'Z';
        }
        catch (IOException)
        {
            return true;
        }
    }

    private void Take(string? line)
    {
        if (line is null) return;
        lock (lines)
        {
            lines.Add(line);
            more.TrySetResult();
            more = New();
        }
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int pid, int signal);

    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
