using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Batching;

/// <summary>One request's part of an output.</summary>
/// <param name="Spec">Which output.</param>
/// <param name="Type">Of the elements; BYTES where a classification was asked for.</param>
/// <param name="Shape">Its shape, the batch dimension included.</param>
/// <param name="Value">The tensor that it is a part of; null for a classification.</param>
/// <param name="First">Its first element there.</param>
/// <param name="Count">Its elements.</param>
/// <param name="Strings">The elements of a classification.</param>
public readonly record struct OutputTensor(TensorSpec Spec, DataType Type, long[] Shape, OrtValue? Value, long First, long Count,
    byte[][]? Strings = null)
{
    /// <summary>The elements' bytes, little-endian; not for BYTES.</summary>
    public ReadOnlySpan<byte> Raw => Value!.GetTensorMutableRawData().Slice((int)(First * Type.Size), (int)(Count * Type.Size));

    /// <summary>An element of BYTES.</summary>
    public ReadOnlySpan<byte> Text(int index) => Strings is { } strings ? strings[index] : Value!.GetStringElementAsSpan((int)First + index);

    /// <summary>Bytes that it takes in binary form: BYTES have a 32-bit length before each element.</summary>
    public long BinarySize
    {
        get
        {
            if (!Type.IsBytes) return Count * Type.Size;
            var size = 4 * Count;
            for (var i = 0; i < Count; i++) size += Text(i).Length;
            return size;
        }
    }
}
