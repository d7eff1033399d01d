using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Sluice.Worker.Generation;

/// <summary>
/// One sequence's keys and values: a buffer a layer for each, as long as the context, bound as past and as present at
/// once, so that attention extends it in place and nothing is copied from step to step.
/// </summary>
internal sealed class KvCache : IDisposable
{
    private readonly OrtValue[] buffers;

    /// <param name="names">Past names and present names, pairwise.</param>
    /// <param name="heads">Heads of keys and values.</param>
    /// <param name="context">Tokens that fit.</param>
    /// <param name="width">Size of a head.</param>
    /// <param name="memory">Where the attention's provider reads and writes.</param>
    public KvCache(IReadOnlyList<(string Past, string Present)> names, long heads, long context, long width, OrtAllocator memory)
    {
        PastNames = [.. names.Select(n => n.Past)];
        PresentNames = [.. names.Select(n => n.Present)];
        buffers = [.. names.Select(_ => OrtValue.CreateAllocatedTensorValue(
            memory, TensorElementType.Float, [1, heads, context, width]))];
    }

    public string[] PastNames { get; }

    public string[] PresentNames { get; }

    public OrtValue[] Buffers => buffers;

    public void Dispose()
    {
        foreach (var buffer in buffers) buffer.Dispose();
    }
}
