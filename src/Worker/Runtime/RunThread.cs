using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;

namespace Sluice.Worker.Runtime;

/// <summary>
/// One thread for all runs of a session with CUDA graphs: ONNX Runtime keeps captured graphs for each thread, and forbids runs of such a session from several
/// (onnxruntime.ai, CUDA execution provider, "Using CUDA Graphs"). The caller waits.
/// </summary>
internal sealed class RunThread : IDisposable
{
    private readonly BlockingCollection<Call> calls = [];

    public RunThread() => new Thread(Loop) { IsBackground = true, Name = "cuda graphs" }.Start();

    /// <summary>Runs it there; throws what it throws.</summary>
    public void Run(Action action)
    {
        using var call = new Call(action);
        calls.Add(call);
        call.Ended.Wait();
        call.Failure?.Throw();
    }

    /// <summary>Takes no more calls; the thread ends with the last.</summary>
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
                // It is the caller's.
                Failure = ExceptionDispatchInfo.Capture(e);
            }

            Ended.Set();
        }

        public void Dispose() => Ended.Dispose();
    }
}
