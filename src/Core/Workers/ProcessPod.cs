using System.Diagnostics;
using Sluice.Core.Dispatch;

namespace Sluice.Core.Workers;

/// <summary>A pod that is a process of this machine.</summary>
internal sealed class ProcessPod : RunningPod
{
    private readonly Process process;

    public ProcessPod(Process process, PodOrder order, WorkerAddress address, long started, Action<string> said)
        : base(order, address, started, started)
    {
        this.process = process;
        ProcessId = process.Id;
        process.OutputDataReceived += (_, e) => Take(e.Data);
        process.ErrorDataReceived += (_, e) => Take(e.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        Exited = WaitAsync();

        void Take(string? line)
        {
            if (line is null) return;
            Hear(line);
            said(line);
        }
    }

    public override int? ProcessId { get; }

    public override string Name => $"process {ProcessId}";

    public override Task<string> Exited { get; }

    public override void Dispose() => process.Dispose();

    private async Task<string> WaitAsync()
    {
        await process.WaitForExitAsync();
        return Told(ExitCode.Describe(process.ExitCode));
    }
}
