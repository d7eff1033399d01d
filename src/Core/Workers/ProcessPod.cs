using System.Diagnostics;
using Sluice.Core.Dispatch;

namespace Sluice.Core.Workers;

/// <summary>A pod that is a process of this machine.</summary>
internal sealed class ProcessPod : RunningPod
{
    private readonly Process process;

    /// <param name="process">It runs.</param>
    /// <param name="order">What it is.</param>
    /// <param name="address">Where it will listen.</param>
    /// <param name="started">Timestamp of its order.</param>
    /// <param name="said">Is told each line that it writes.</param>
    /// <param name="heard">It stood by before this: what it writes is being read already.</param>
    public ProcessPod(Process process, PodOrder order, WorkerAddress address, long started, Action<string> said, bool heard)
        : base(order, address, started, started)
    {
        this.process = process;
        ProcessId = process.Id;
        process.OutputDataReceived += (_, e) => Take(e.Data);
        process.ErrorDataReceived += (_, e) => Take(e.Data);
        if (!heard)
        {
            process.BeginOutputReadLine();
            process.BeginErrorReadLine();
        }

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
