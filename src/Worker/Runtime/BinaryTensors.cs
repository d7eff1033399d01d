using System.Buffers;
using System.Buffers.Binary;
using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Runtime;

/// <summary>
/// The binary tensor extension: little-endian, row-major, BOOL one byte, BYTES each with a 32-bit length before it.
/// Bytes go from the connection's buffers into the tensor's memory in one copy, and back in one.
/// </summary>
public static class BinaryTensors
{
    /// <summary>Largest single element of BYTES that is taken, 1 GiB.</summary>
    private const uint MaxElement = 1 << 30;

    public static void Read(ReadOnlySequence<byte> from, OrtValue into, string tensor, DataType type, long count)
    {
        if (type.IsBytes)
        {
            ReadBytes(from, into, tensor, count);
            return;
        }

        if (from.Length != count * type.Size)
            throw new InvalidRequestException($"input '{tensor}': binary_data_size is {from.Length}, expected "
                + $"{count * type.Size} ({count} elements of {type.Name})");
        var raw = into.GetTensorMutableRawData();
        from.CopyTo(raw);
        if (type.Name == "BOOL" && raw.IndexOfAnyExceptInRange((byte)0, (byte)1) is var at and >= 0)
            throw new InvalidRequestException($"input '{tensor}': byte {at} is {raw[at]}, expected 0 or 1 (BOOL)");
    }

    /// <summary>Bytes that a tensor takes in binary form.</summary>
    public static long SizeOf(OrtValue value, DataType type)
    {
        var count = value.GetTensorTypeAndShape().ElementCount;
        if (!type.IsBytes) return count * type.Size;
        long size = 4 * count;
        for (var i = 0; i < count; i++) size += value.GetStringElementAsSpan(i).Length;
        return size;
    }

    public static void Write(IBufferWriter<byte> writer, OrtValue value, DataType type)
    {
        if (!type.IsBytes)
        {
            writer.Write(value.GetTensorMutableRawData());
            return;
        }

        var count = value.GetTensorTypeAndShape().ElementCount;
        for (var i = 0; i < count; i++)
        {
            var element = value.GetStringElementAsSpan(i);
            BinaryPrimitives.WriteInt32LittleEndian(writer.GetSpan(4), element.Length);
            writer.Advance(4);
            writer.Write(element);
        }
    }

    private static void ReadBytes(ReadOnlySequence<byte> from, OrtValue into, string tensor, long count)
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
