using System.Diagnostics;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Batching;

namespace Sluice.Worker.Runtime;

/// <summary>Who waits for a lane.</summary>
public interface ILaneUser
{
    /// <summary>A lane is this one's now; it must be given back. Called on a thread of the pool.</summary>
    void Enter();
}

/// <summary>
/// How many runs are on the device at once, over all models: as many as there are cores on a CPU, one on a GPU (one stream). Who waits
/// gets a lane in the order of waiting. A caller that goes away while it waits costs nothing; one that goes during its run stops it.
/// </summary>
public sealed class RunLanes(int lanes)
{
    /// <summary>Runs at once.</summary>
    public int Count { get; private set; } = lanes;

    /// <summary>How many were on a lane or waited for one, for each lane, in the mean of the last seconds.</summary>
    public double Utilization
    {
        get
        {
            lock (gate) return users.At(Stopwatch.GetElapsedTime(0)) / Count;
        }
    }

    private readonly Lock gate = new();
    private readonly MovingMean users = new(TimeSpan.FromSeconds(10), Stopwatch.GetElapsedTime(0));
    private readonly Queue<ILaneUser> waiting = [];
    private int free = lanes;

    /// <summary>Takes a lane when one is free and nobody waits; else the caller waits, and is told by <see cref="ILaneUser.Enter"/>.</summary>
    public bool EnterOrWait(ILaneUser user)
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

    /// <summary>From now on there are more lanes; fewer are left as they are.</summary>
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

    /// <summary>Gives a lane back, to the next who waits.</summary>
    public void Leave()
    {
        ILaneUser next;
        lock (gate)
        {
            var nobody = !waiting.TryDequeue(out next!);
            if (nobody) free++;
            Changed();
            if (nobody) return;
        }

        ThreadPool.UnsafeQueueUserWorkItem(static user => user.Enter(), next, preferLocal: false);
    }

    /// <summary>Runs something that is not batched.</summary>
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

    /// <summary>Runs with options whose termination follows the token. What the model says about its input becomes the client's error.</summary>
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

    /// <summary>Whether a model failed because of what it was given.</summary>
    public static bool IsClients(OnnxRuntimeException e) => RunError.IsOfInputs(e.Message);

    /// <summary>Under the lock.</summary>
    private void Changed() => users.Set(Count - free + waiting.Count, Stopwatch.GetElapsedTime(0));

    private sealed class Caller : ILaneUser
    {
        public TaskCompletionSource Entered { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Enter() => Entered.TrySetResult();
    }
}
