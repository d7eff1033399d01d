using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;

namespace Sluice.Worker.Runtime;

/// <summary>
/// One thread for all runs of a session with CUDA graphs. ONNX Runtime keeps captured graphs per thread and forbids
/// runs of such a session from several threads (onnxruntime.ai, CUDA execution provider, "Using CUDA Graphs"). The
/// caller waits for the run.
/// </summary>
internal sealed class RunThread : IDisposable
{
    private readonly BlockingCollection<Call> calls = [];

    public RunThread() => new Thread(Loop) { IsBackground = true, Name = "cuda graphs" }.Start();

    /// <summary>Runs the action on the thread. Throws the action's exception.</summary>
    public void Run(Action action)
    {
        using var call = new Call(action);
        calls.Add(call);
        call.Ended.Wait();
        call.Failure?.Throw();
    }

    /// <summary>Rejects further calls. The thread ends after the last call.</summary>
    public void Dispose() => calls.CompleteAdding();

    private void Loop()
    {
        foreach (var call in calls.GetConsumingEnumerable()) call.Run();
        calls.Dispose();
    }

    private sealed class Call(Action action) : IDisposable
    {
        public ManualResetEventSlim Ended { get; } = new();

        public ExceptionDispatchInfo? Failure { get; private set; }

        public void Run()
        {
            try
            {
                action();
            }
            catch (Exception e)
            {
                // The caller rethrows the exception.
                Failure = ExceptionDispatchInfo.Capture(e);
            }

            Ended.Set();
        }

        public void Dispose() => Ended.Dispose();
    }
}
