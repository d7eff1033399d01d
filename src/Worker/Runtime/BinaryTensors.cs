using System.Buffers;
using System.Buffers.Binary;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Batching;

namespace Sluice.Worker.Runtime;

/// <summary>
/// The binary tensor extension: little-endian, row-major, BOOL one byte, BYTES each with a 32-bit length before it.
/// Bytes go from the connection's buffers into the tensor's memory in one copy, and back in one.
/// </summary>
public static class BinaryTensors
{
    /// <summary>Largest single element of BYTES that is taken, 1 GiB.</summary>
    private const uint MaxElement = 1 << 30;

    /// <summary>Copies numbers into their place.</summary>
    public static void Read(ReadOnlySequence<byte> from, Span<byte> into, string tensor, DataType type, long count)
    {
        if (from.Length != into.Length)
            throw new InvalidRequestException($"input '{tensor}': binary_data_size is {from.Length}, expected "
                + $"{into.Length} ({count} elements of {type.Name})");
        from.CopyTo(into);
        if (type.Name == "BOOL" && into.IndexOfAnyExceptInRange((byte)0, (byte)1) is var at and >= 0)
            throw new InvalidRequestException($"input '{tensor}': byte {at} is {into[at]}, expected 0 or 1 (BOOL)");
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

    /// <summary>Reads elements of BYTES.</summary>
    public static void ReadBytes(ReadOnlySequence<byte> from, OrtValue into, string tensor, long count)
    {
        var reader = new SequenceReader<byte>(from);
        for (var i = 0; i < count; i++)
        {
            if (!reader.TryReadLittleEndian(out int length) || (uint)length > MaxElement
                || !reader.TryReadExact(length, out var element))
                throw new InvalidRequestException($"input '{tensor}': element {i} of {count} is cut: expected a 32-bit "
                    + $"little-endian length and as many bytes ({from.Length} bytes came)");
            into.StringTensorSetElementAt(element.IsSingleSegment ? element.FirstSpan : element.ToArray(), i);
        }

        if (!reader.End)
            throw new InvalidRequestException(
                $"input '{tensor}': {reader.Remaining} bytes are left after its {count} elements");
    }
}
