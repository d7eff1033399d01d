using System.Diagnostics;
using Sluice.Core.Dispatch;

namespace Sluice.Core.Workers;

/// <summary>A pod that is a process of this machine.</summary>
internal sealed class ProcessPod : RunningPod
{
    /// <summary>How long after the exit the end of the output may come. A child that lives on keeps it open.</summary>
    private static readonly TimeSpan OutputWithin = TimeSpan.FromSeconds(1);

    private readonly Process process;
    private readonly ProcessOutput output;
    private readonly TimeProvider time;

    /// <param name="process">It runs.</param>
    /// <param name="order">What it is.</param>
    /// <param name="address">Where it will listen.</param>
    /// <param name="started">Timestamp of its order.</param>
    /// <param name="said">Receives each line that the process writes.</param>
    /// <param name="output">What it writes, where it stood by before this and is read already.</param>
    /// <param name="time">The clock.</param>
    public ProcessPod(Process process, PodOrder order, WorkerAddress address, long started, Action<string> said, ProcessOutput? output, TimeProvider time)
        : base(order, address, started, started)
    {
        (this.process, this.time) = (process, time);
        ProcessId = process.Id;
        this.output = output ?? new ProcessOutput(process, Take);
        output?.TellInstead(Take);
        Exited = WaitAsync();

        void Take(string line) => said(Hear(line));
    }

    public override int? ProcessId { get; }

    public override string Name => $"process {ProcessId}";

    public override Task<string> Exited { get; }

    public override void Dispose() => process.Dispose();

    private async Task<string> WaitAsync()
    {
        await process.WaitForExitAsync();
        await Task.WhenAny(output.Ended, Task.Delay(OutputWithin, time));
        return Told(ExitCode.Describe(process.ExitCode));
    }
}
