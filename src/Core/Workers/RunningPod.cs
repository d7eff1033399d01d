using Sluice.Core.Dispatch;
using Sluice.Core.Endpoints;

namespace Sluice.Core.Workers;

/// <summary>A pod that was started, as its own host has it.</summary>
public abstract class RunningPod : IDisposable
{
    private readonly LastLines output = new();
    private TaskCompletionSource spoke = new(TaskCreationOptions.RunContinuationsAsynchronously);

    protected RunningPod(PodOrder order, WorkerAddress address, long ordered, long started)
    {
        (Order, Address, Ordered, Started) = (order, address, ordered, started);
    }

    public PodOrder Order { get; }

    public Deployment Deployment => Order.Deployment;

    public WorkerAddress Address { get; set; }

    /// <summary>Timestamp of when its host was asked for it.</summary>
    public long Ordered { get; }

    /// <summary>Timestamp of when it began to run: the template's <c>startTimeout</c> counts from here.</summary>
    public long Started { get; }

    /// <summary>What it is for an operator of its host: <c>process 4711</c>, <c>container 0f1e2d3c4b5a</c>.</summary>
    public abstract string Name { get; }

    /// <summary>Its process on this machine; null where there is none of ours.</summary>
    public virtual int? ProcessId => null;

    /// <summary>What its host did before it ran, in order: <c>pull</c>, <c>create</c>, <c>start</c>.</summary>
    public virtual IReadOnlyList<StartStage> HostStages => [];

    /// <summary>It was found running: how long its start took is not known here.</summary>
    public virtual bool Adopted => false;

    /// <summary>What the worker told of its own start.</summary>
    public IReadOnlyList<StartStage> Stages { get; set; } = [];

    /// <summary>Ends with the pod; says how it ended and the last lines that it wrote.</summary>
    public abstract Task<string> Exited { get; }

    /// <summary>Its end was given up, not seen: it may run, and has what it was given.</summary>
    public virtual bool Unsure => false;

    /// <summary>Ends with the next line that it writes: servers tell that they listen.</summary>
    public Task Spoke => Volatile.Read(ref spoke).Task;

    public IReadOnlyList<string> LastOutput => output.Snapshot();

    public abstract void Dispose();

    /// <summary>Lines that it has written so far.</summary>
    public long LinesWritten => output.Added;

    /// <summary>Keeps a line that it wrote, and returns it as it is kept: one printable line.</summary>
    protected string Hear(string line)
    {
        var kept = output.Add(line);
        Interlocked.Exchange(ref spoke, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
        return kept;
    }

    /// <summary>How it ended, with the last lines that it wrote and that are not blank.</summary>
    protected string Told(string how) => output.End() is { Length: > 0 } end ? $"{how}: {end}" : how;
}
