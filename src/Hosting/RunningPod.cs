using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Gpus;
using Sluice.Models.Cache;

namespace Sluice.Hosting;

/// <summary>A pod that was started, as its own host sees it.</summary>
public abstract class RunningPod : IDisposable
{
    /// <summary>Lines that are kept for a listener that comes late.</summary>
    private const int MaxEarlyLines = 1000;

    private static readonly Task<string> Never = new TaskCompletionSource<string>().Task;

    private readonly OutputTail output = new();
    private readonly Lock listening = new();
    private readonly Queue<string> early = [];
    private Action<string>? listener;
    private TaskCompletionSource nextLine = new(TaskCreationOptions.RunContinuationsAsynchronously);

    protected RunningPod(PodSpec order, WorkerAddress address, long ordered, long started)
    {
        Order = order;
        Address = address;
        Ordered = ordered;
        Started = started;
    }

    public PodSpec Order { get; }

    public Deployment Deployment => Order.Deployment;

    public WorkerAddress Address { get; set; }

    /// <summary>Timestamp of the call that ordered it from its host.</summary>
    public long Ordered { get; }

    /// <summary>Timestamp of when it began to run; the template's <c>startTimeout</c> is measured from it.</summary>
    public long Started { get; }

    /// <summary>Its name on its host, for operators: <c>process 4711</c>, <c>container 0f1e2d3c4b5a</c>.</summary>
    public abstract string Name { get; }

    /// <summary>The id of its process on this machine; null if it is not a process of this gateway.</summary>
    public virtual int? ProcessId => null;

    /// <summary>
    /// The stages that its host measured before it ran, in order: <c>pull</c>, <c>create</c>, <c>start</c>.
    /// </summary>
    public virtual IReadOnlyList<StartStage> HostStages => [];

    /// <summary>Whether it was found running; the duration of its start is then unknown.</summary>
    public virtual bool Adopted => false;

    /// <summary>The lease of its delivered model, which its host disposes with it; null: it has none.</summary>
    public ModelLease? Model { get; init; }

    /// <summary>The stages of its start that the worker reported.</summary>
    public IReadOnlyList<StartStage> Stages { get; set; } = [];

    /// <summary>How many tokens the worker can hold, as it reported when it was ready; null: it did not say.</summary>
    public TokenCapacity? Cache { get; set; }

    /// <summary>The devices that the worker sees, as it reported when it was ready; null: it did not say.</summary>
    public DeviceReport? Devices { get; set; }

    /// <summary>Completes when the pod has exited, with a description of the exit and the last output lines.</summary>
    public abstract Task<string> Exited { get; }

    /// <summary>
    /// Completes with the reason when its host wants to end it although no gateway asked for that: its node is drained,
    /// for example. It may still finish its requests.
    /// </summary>
    public virtual Task<string> Leaving => Never;

    /// <summary>Whether its exit was not observed: it may still run, with its devices.</summary>
    public virtual bool Unsure => false;

    /// <summary>Completes with the next line of its output: servers print a line when they listen.</summary>
    public Task NextLine => Volatile.Read(ref nextLine).Task;

    public IReadOnlyList<string> LastOutput => output.Snapshot();

    public abstract void Dispose();

    /// <summary>Number of lines that it has written so far.</summary>
    public long LinesWritten => output.Added;

    /// <summary>
    /// Passes each line of its output to a listener, in order, the lines so far included (at most the last 1,000). The
    /// listener must not block.
    /// </summary>
    public void Listen(Action<string> lines)
    {
        lock (listening)
        {
            foreach (var line in early) lines(line);
            early.Clear();
            listener = lines;
        }
    }

    /// <summary>Stores an output line, and returns it in its stored form: one printable line.</summary>
    protected string RecordLine(string line)
    {
        var kept = output.Add(line);
        lock (listening)
        {
            if (listener is not null)
            {
                listener(kept);
            }
            else
            {
                early.Enqueue(kept);
                if (early.Count > MaxEarlyLines) early.Dequeue();
            }
        }

        var next = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Interlocked.Exchange(ref nextLine, next).TrySetResult();
        return kept;
    }

    /// <summary>Describes its exit, followed by the last non-blank output lines.</summary>
    protected string DescribeExit(string exit) => output.DescribeEnd() is { Length: > 0 } end ? $"{exit}: {end}" : exit;
}
