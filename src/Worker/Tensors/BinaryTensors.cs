using System.Buffers;
using System.Buffers.Binary;
using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Tensors;

/// <summary>
/// Reads and writes the binary tensor extension: little-endian, row-major, one byte per BOOL, and a 32-bit length
/// before each BYTES element. Bytes are copied once between the connection's buffers and the tensor's memory.
/// </summary>
public static class BinaryTensors
{
    /// <summary>Largest BYTES element, 1 GiB.</summary>
    private const uint MaxElement = 1 << 30;

    /// <summary>Copies numbers into a tensor.</summary>
    public static void Read(ReadOnlySequence<byte> from, Span<byte> into, string tensor, DataType type, long count)
    {
        if (from.Length != into.Length)
            throw new InvalidRequestException($"binary_data_size of input '{tensor}' is '{from.Length}'; expected "
                + $"{into.Length} ({count} elements of {type.Name})");
        from.CopyTo(into);
        if (type.Name == "BOOL" && into.IndexOfAnyExceptInRange((byte)0, (byte)1) is var at and >= 0)
            throw new InvalidRequestException($"input '{tensor}': byte {at} is {into[at]}; expected 0 or 1 (BOOL)");
    }

    public static void Write(IBufferWriter<byte> writer, in OutputTensor tensor)
    {
        if (!tensor.Type.IsBytes)
        {
            writer.Write(tensor.Raw);
            return;
        }

        for (var i = 0; i < tensor.Count; i++)
        {
            var element = tensor.Text(i);
            BinaryPrimitives.WriteInt32LittleEndian(writer.GetSpan(4), element.Length);
            writer.Advance(4);
            writer.Write(element);
        }
    }

    /// <summary>Reads BYTES elements.</summary>
    public static void ReadBytes(ReadOnlySequence<byte> from, OrtValue into, string tensor, long count)
    {
        var reader = new SequenceReader<byte>(from);
        for (var i = 0; i < count; i++)
        {
            if (!reader.TryReadLittleEndian(out int length) || (uint)length > MaxElement
                || !reader.TryReadExact(length, out var element))
                throw new InvalidRequestException($"input '{tensor}': element {i} of {count} is truncated; expected a "
                    + $"32-bit little-endian length and as many bytes ({from.Length} bytes received)");
            into.StringTensorSetElementAt(element.IsSingleSegment ? element.FirstSpan : element.ToArray(), i);
        }

        if (!reader.End)
            throw new InvalidRequestException(
                $"input '{tensor}': {reader.Remaining} bytes remain after its {count} elements");
    }
}
