using Sluice.Worker.Generation;

namespace Sluice.Worker.Tests.Generation;

/// <summary>Stops the engine before the third token of a text, until the test continues.</summary>
internal sealed class PauseAtThirdToken : ILogitsProcessor, IDisposable
{
    private readonly TaskCompletionSource reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ManualResetEventSlim released = new();

    public Task ReachedAsync() => reached.Task;

    public void Continue() => released.Set();

    public void Process(Span<float> logits, ReadOnlySpan<int> generated)
    {
        if (generated.Length != 2) return;
        reached.TrySetResult();
        released.Wait();
    }

    /// <summary>The engine must not wait when a test failed.</summary>
    public void Dispose() => released.Set();
}
