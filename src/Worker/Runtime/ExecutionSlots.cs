using System.Diagnostics;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Statistics;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Runtime;

/// <summary>A caller that waits for a slot.</summary>
public interface IExecutionSlotUser
{
    /// <summary>
    /// Called on a thread pool thread when the caller gets a slot. The caller must return it with <c>Leave</c>.
    /// </summary>
    void Enter();
}

/// <summary>
/// Limits the number of concurrent runs on the device, over all models: one per core on a CPU, one on a GPU (one
/// stream). Waiting callers get slots in the order of waiting. A caller that is cancelled while it waits uses no
/// slot. Cancellation during a run stops the run.
/// </summary>
public sealed class ExecutionSlots(int slots)
{
    /// <summary>Largest number of concurrent runs.</summary>
    public int Count { get; private set; } = slots;

    /// <summary>
    /// Number of callers that run or wait, divided by the number of slots. Moving average over the last 10 seconds.
    /// </summary>
    public double Utilization
    {
        get
        {
            lock (gate) return users.At(Stopwatch.GetElapsedTime(0)) / Count;
        }
    }

    private readonly Lock gate = new();
    private readonly MovingAverage users = new(TimeSpan.FromSeconds(10), Stopwatch.GetElapsedTime(0));
    private readonly Queue<IExecutionSlotUser> waiting = [];
    private int free = slots;

    /// <summary>
    /// Acquires a slot if one is free and returns true. Otherwise returns false, and
    /// <see cref="IExecutionSlotUser.Enter"/> is called when the caller gets a slot.
    /// </summary>
    public bool EnterOrWait(IExecutionSlotUser user)
    {
        lock (gate)
        {
            var enters = free > 0;
            if (enters) free--;
            else waiting.Enqueue(user);
            Changed();
            return enters;
        }
    }

    /// <summary>
    /// Raises the number of slots to <paramref name="most"/>. Has no effect if there are already as many.
    /// </summary>
    public void Widen(int most)
    {
        var more = 0;
        lock (gate)
        {
            more = Math.Max(0, most - Count);
            Count += more;
        }

        for (; more > 0; more--) Leave();
    }

    /// <summary>Returns a slot. The next waiting caller gets it.</summary>
    public void Leave()
    {
        IExecutionSlotUser next;
        lock (gate)
        {
            var noneWaits = !waiting.TryDequeue(out next!);
            if (noneWaits) free++;
            Changed();
            if (noneWaits) return;
        }

        ThreadPool.UnsafeQueueUserWorkItem(static user => user.Enter(), next, preferLocal: false);
    }

    /// <summary>Runs a function that is not batched.</summary>
    public async Task<T> RunAsync<T>(Func<RunOptions, T> run, CancellationToken ct)
    {
        var caller = new Caller();
        if (!EnterOrWait(caller)) await caller.Entered.Task;
        try
        {
            ct.ThrowIfCancellationRequested();
            return await Task.Run(() => Run(static (options, run) => run(options), run, ct), CancellationToken.None);
        }
        finally
        {
            Leave();
        }
    }

    /// <summary>
    /// Runs a function with options that terminate the run when the token is cancelled. If the model rejects its
    /// inputs, throws an <see cref="InvalidRequestException"/>.
    /// </summary>
    public static T Run<T, TState>(Func<RunOptions, TState, T> run, TState state, CancellationToken ct)
    {
        using var options = new RunOptions();
        using var stop = ct.UnsafeRegister(o => ((RunOptions)o!).Terminate = true, options);
        try
        {
            return run(options, state);
        }
        catch (OnnxRuntimeException) when (ct.IsCancellationRequested)
        {
            throw new OperationCanceledException(ct);
        }
        catch (OnnxRuntimeException e) when (IsClients(e))
        {
            throw new InvalidRequestException(RunError.Clean(e.Message));
        }
    }

    /// <summary>Returns whether the inputs caused the model's error.</summary>
    public static bool IsClients(OnnxRuntimeException e) => RunError.IsOfInputs(e.Message);

    /// <summary>Updates the average. The caller holds the lock.</summary>
    private void Changed() => users.Set(Count - free + waiting.Count, Stopwatch.GetElapsedTime(0));

    private sealed class Caller : IExecutionSlotUser
    {
        public TaskCompletionSource Entered { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Enter() => Entered.TrySetResult();
    }
}
