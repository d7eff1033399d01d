using System.Diagnostics;
using Sluice.Domain.Fleet;
using Sluice.Shared;

namespace Sluice.Hosting.Processes;

/// <summary>A pod that runs as a process of this machine.</summary>
internal sealed class ProcessPod : RunningPod
{
    /// <summary>
    /// How long the end of the output may arrive after the exit. A child process that still runs keeps the output open.
    /// </summary>
    private static readonly TimeSpan OutputWithin = TimeSpan.FromSeconds(1);

    private readonly Process process;
    private readonly ProcessOutput output;
    private readonly TimeProvider time;

    /// <param name="process">The running process.</param>
    /// <param name="order">The order of the pod.</param>
    /// <param name="address">The address that the process will listen on.</param>
    /// <param name="at">Timestamps of the order, and of the start of the process.</param>
    /// <param name="onLine">Receives each line that the process writes.</param>
    /// <param name="output">
    /// The reader of its output if the process was a standby worker; null: a reader is created.
    /// </param>
    /// <param name="time">The clock.</param>
    public ProcessPod(
        Process process,
        PodSpec order,
        WorkerAddress address,
        (long Ordered, long Started) at,
        Action<string> onLine,
        ProcessOutput? output,
        TimeProvider time)
        : base(order, address, at.Ordered, at.Started)
    {
        this.process = process;
        this.time = time;
        ProcessId = process.Id;
        this.output = output ?? new ProcessOutput(process, ReceiveLine);
        output?.ReplaceReceiver(ReceiveLine);
        Exited = WaitAsync();

        void ReceiveLine(string line) => onLine(RecordLine(line));
    }

    public override int? ProcessId { get; }

    public override IReadOnlyList<StartStage> HostStages => Delivery;

    /// <summary>The stage of the download of its model, if there was one.</summary>
    public IReadOnlyList<StartStage> Delivery { get; set; } = [];

    public override string Name => $"process {ProcessId}";

    public override Task<string> Exited { get; }

    public override void Dispose() => process.Dispose();

    private async Task<string> WaitAsync()
    {
        await process.WaitForExitAsync();
        await Task.WhenAny(output.Ended, Task.Delay(OutputWithin, time));
        return DescribeExit(ExitCode.Describe(process.ExitCode));
    }
}
