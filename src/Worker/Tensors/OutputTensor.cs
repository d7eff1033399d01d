using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Tensors;

/// <summary>One request's part of an output.</summary>
/// <param name="Spec">The output.</param>
/// <param name="Type">Datatype of the elements; BYTES for a classification.</param>
/// <param name="Shape">Shape, including the batch dimension.</param>
/// <param name="Value">The tensor that contains the elements; null for a classification.</param>
/// <param name="First">Index of the first element in the tensor.</param>
/// <param name="Count">Number of elements.</param>
/// <param name="Strings">Elements of a classification.</param>
public readonly record struct OutputTensor(
    TensorSpec Spec,
    DataType Type,
    long[] Shape,
    OrtValue? Value,
    long First,
    long Count,
    byte[][]? Strings = null)
{
    /// <summary>Bytes of the elements, little-endian; not for BYTES.</summary>
    public ReadOnlySpan<byte> Raw =>
        Value!.GetTensorMutableRawData().Slice((int)(First * Type.Size), (int)(Count * Type.Size));

    /// <summary>Returns an element of type BYTES.</summary>
    public ReadOnlySpan<byte> Text(int index) =>
        Strings is { } strings ? strings[index] : Value!.GetStringElementAsSpan((int)First + index);

    /// <summary>Size in binary form, in bytes. An element of type BYTES has a 32-bit length before it.</summary>
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
