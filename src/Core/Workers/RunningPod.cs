using System.Diagnostics;
using Sluice.Core.Dispatch;
using Sluice.Core.Endpoints;

namespace Sluice.Core.Workers;

/// <summary>A pod's process, as its own host has it.</summary>
public sealed class RunningPod : IDisposable
{
    /// <summary>Signals by number, as a shell reports them (128 + number).</summary>
    private static readonly Dictionary<int, string> Signals = new()
    {
        [4] = "SIGILL", [6] = "SIGABRT", [7] = "SIGBUS", [8] = "SIGFPE", [9] = "SIGKILL", [11] = "SIGSEGV", [15] = "SIGTERM",
    };

    private readonly Process process;
    private readonly LastLines output = new();
    private TaskCompletionSource spoke = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal RunningPod(Process process, WorkerAddress address, Deployment deployment, long started, Action<string> said)
    {
        (this.process, Address, Deployment, Started) = (process, address, deployment, started);
        ProcessId = process.Id;
        process.OutputDataReceived += (_, e) => Take(e.Data);
        process.ErrorDataReceived += (_, e) => Take(e.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        Exited = WaitAsync();

        void Take(string? line)
        {
            if (line is null) return;
            output.Add(line);
            said(line);
            Interlocked.Exchange(ref spoke, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
        }
    }

    public int ProcessId { get; }

    public WorkerAddress Address { get; set; }

    public Deployment Deployment { get; }

    /// <summary>Timestamp of its start.</summary>
    public long Started { get; }

    /// <summary>What the worker told of its own start.</summary>
    public IReadOnlyList<StartStage> Stages { get; set; } = [];

    /// <summary>Ends with the process; says how it ended.</summary>
    public Task<string> Exited { get; }

    /// <summary>Ends with the next line that it writes: servers tell that they listen.</summary>
    public Task Spoke => Volatile.Read(ref spoke).Task;

    public IReadOnlyList<string> LastOutput => output.Snapshot();

    public void Dispose() => process.Dispose();

    private async Task<string> WaitAsync()
    {
        await process.WaitForExitAsync();
        var code = process.ExitCode;
        var how = code > 128 && Signals.TryGetValue(code - 128, out var signal) ? $"ended by {signal}" : $"exit code {code}";
        return LastOutput is { Count: > 0 } lines ? $"{how}: {lines[^1]}" : how;
    }
}
