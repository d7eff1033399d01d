using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Sluice.Worker.Generation;

/// <summary>
/// Contains the keys and values of one sequence. Each layer has one buffer for keys and one for values, with the
/// length of the context. A buffer is bound as both past and present, so that attention extends it in place without a
/// copy for each step.
/// </summary>
internal sealed class KvCache : IDisposable
{
    private readonly OrtValue[] buffers;

    /// <param name="names">Pairs of an input name (past) and an output name (present).</param>
    /// <param name="heads">Number of heads of keys and values.</param>
    /// <param name="context">Maximum number of tokens.</param>
    /// <param name="width">Size of a head.</param>
    /// <param name="memory">Allocator of the memory that the attention's provider uses.</param>
    public KvCache(
        IReadOnlyList<(string Past, string Present)> names,
        long heads,
        long context,
        long width,
        OrtAllocator memory)
    {
        PastNames = [.. names.Select(n => n.Past)];
        PresentNames = [.. names.Select(n => n.Present)];
        buffers = [.. names.Select(_ => OrtValue.CreateAllocatedTensorValue(
            memory, TensorElementType.Float, [1, heads, context, width]))];
    }

    /// <summary>Names of the model's inputs.</summary>
    public string[] PastNames { get; }

    /// <summary>Names of the model's outputs.</summary>
    public string[] PresentNames { get; }

    /// <summary>The buffers, in the order of the names.</summary>
    public OrtValue[] Buffers => buffers;

    public void Dispose()
    {
        foreach (var buffer in buffers) buffer.Dispose();
    }
}
