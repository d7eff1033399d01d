using System.Buffers.Binary;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Sluice.Worker.Models.Inspection;

/// <summary>Encoding of a protobuf field.</summary>
internal enum WireType
{
    Varint = 0,
    Fixed64 = 1,
    Length = 2,
    Fixed32 = 5,
}

/// <summary>
/// Tag and value of a field. A number is already read. For a field with a length, the reader is at its first byte.
/// </summary>
/// <param name="Number">Number of the field in its message.</param>
/// <param name="Wire">Encoding of the field.</param>
/// <param name="Value">The number, or the length in bytes.</param>
/// <param name="End">Offset of the end of the field in the file.</param>
internal readonly record struct ProtoField(int Number, WireType Wire, long Value, long End);

/// <summary>
/// Reads protobuf's wire format (protobuf.dev/programming-guides/encoding) from a file through one window of 64 KiB.
/// Skipped parts are not read. The file is not mapped into memory, because a truncated file would kill the process.
/// Where protobuf's own parser guesses, this reader rejects the file, so that both readers see the same content.
/// </summary>
internal sealed class ProtoReader(SafeFileHandle file, string path, long length)
{
    private const int Window = 64 << 10;
    private const int MaxVarint = 10;

    /// <summary>
    /// Largest number of fields, which limits the time to about 5 s at 25 ns per field. Tree ensembles contain one
    /// field per number.
    /// </summary>
    private const long MaxFields = 200_000_000;

    private readonly byte[] window = new byte[Window];
    private long windowStart;
    private int windowLength;
    private long fields;

    public long Position { get; private set; }

    /// <summary>Reads the next field's tag. Returns false at <paramref name="end"/>.</summary>
    public bool Next(long end, out ProtoField field)
    {
        field = default;
        if (Position == end) return false;
        if (++fields > MaxFields) throw Refuse($"more than {MaxFields} protobuf fields", "fewer");
        var start = Position;
        var tag = (ulong)Varint(end);
        var (number, wire) = (tag >> 3, (int)(tag & 7));
        if (tag > uint.MaxValue || number == 0)
            throw Refuse($"protobuf field number {number} at byte {start}", "1 to 536870911");
        switch (wire)
        {
            case (int)WireType.Varint:
                var value = Varint(end);
                field = new((int)number, WireType.Varint, value, Position);
                return true;
            case (int)WireType.Fixed32:
                var fixed32 = BinaryPrimitives.ReadInt32LittleEndian(ReadBytes(4, end));
                field = new((int)number, WireType.Fixed32, fixed32, Position);
                return true;
            case (int)WireType.Fixed64:
                var fixed64 = BinaryPrimitives.ReadInt64LittleEndian(ReadBytes(8, end));
                field = new((int)number, WireType.Fixed64, fixed64, Position);
                return true;
            case (int)WireType.Length:
                var size = Varint(end);
                if (size < 0 || size > int.MaxValue || size > end - Position)
                    throw Refuse(
                        $"it is truncated or not an ONNX model: protobuf field {number} at byte {start} is "
                        + $"{(ulong)size} bytes long",
                        $"at most the {end - Position} left");
                field = new((int)number, WireType.Length, size, Position + size);
                return true;
            default:
                // ONNX does not use groups (3, 4). Types 6 and 7 do not exist.
                throw Refuse(
                    $"it is damaged or not an ONNX model: protobuf wire type {wire} at byte {start}", "0, 1, 2, 5");
        }
    }

    /// <summary>Moves to the end of the field.</summary>
    public void Skip(ProtoField field) => Position = field.End;

    public long Number(ProtoField field)
    {
        Expect(field, WireType.Varint);
        return field.Value;
    }

    /// <summary>
    /// Reads a text. Throws if it is longer than <paramref name="most"/> bytes or is not valid UTF-8.
    /// </summary>
    public string Text(ProtoField field, int most)
    {
        Expect(field, WireType.Length);
        if (field.Value > most)
            throw Refuse(
                $"protobuf field {field.Number} at byte {Position} is a text of {field.Value} bytes",
                $"at most {most}");
        var bytes = new byte[(int)field.Value];
        Fill(bytes, Position);
        Position = field.End;
        try
        {
            return Strict.GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            throw Refuse($"protobuf field {field.Number} ending at byte {Position} is not valid UTF-8", "UTF-8");
        }
    }

    /// <summary>Returns whether a text of any length begins with an ASCII text, and moves to its end.</summary>
    public bool TextBegins(ProtoField field, string with)
    {
        Expect(field, WireType.Length);
        var bytes = new byte[with.Length];
        var isLongEnough = field.Value >= bytes.Length;
        if (isLongEnough) Fill(bytes, Position);
        Position = field.End;
        return isLongEnough && Encoding.ASCII.GetString(bytes) == with;
    }

    /// <summary>
    /// Returns text from anywhere in the file, shortened to one line, for a message. Does not move the position.
    /// </summary>
    public string Peek(long at, long size)
    {
        var bytes = new byte[(int)Math.Min(size, 100)];
        Fill(bytes, at);
        return Printable(Encoding.UTF8.GetString(bytes));
    }

    /// <summary>Counts the numbers in a packed field and moves to its end.</summary>
    public long CountVarints(ProtoField field)
    {
        Expect(field, WireType.Length);
        var count = 0L;
        var run = 0;
        while (Position < field.End)
        {
            var more = Byte() >= 0x80;
            if (++run > MaxVarint) throw TooLong();
            if (more) continue;
            (run, count) = (0, count + 1);
        }

        return run == 0
            ? count
            : throw Refuse($"packed field {field.Number} ends within a number at byte {Position}", "whole numbers");
    }

    /// <summary>Reads the next number of a packed field.</summary>
    public long Packed(ProtoField field) => Varint(field.End);

    public void Expect(ProtoField field, WireType wire)
    {
        if (field.Wire != wire)
            throw Refuse(
                $"protobuf field {field.Number} at byte {Position} has wire type {(int)field.Wire}",
                $"{(int)wire}");
    }

    /// <summary>Creates the exception to throw, with the file's path.</summary>
    public UnsafeModelException Refuse(string found, string allowed) => new(path, found, allowed);

    /// <summary>Returns at most 200 characters on one line.</summary>
    public static string Printable(string text) =>
        new([.. text.Take(200).Select(c => char.IsControl(c) || char.IsSurrogate(c) ? '\uFFFD' : c)]);

    private static readonly UTF8Encoding Strict = new(
        encoderShouldEmitUTF8Identifier: false,
        throwOnInvalidBytes: true);

    private long Varint(long end)
    {
        ulong value = 0;
        for (var i = 0; i < MaxVarint; i++)
        {
            if (Position >= end) throw Refuse($"a number is cut off at byte {Position}", "whole numbers");
            var part = Byte();
            if (i == MaxVarint - 1 && part > 1) throw TooLong();
            value |= (ulong)(part & 0x7F) << (7 * i);
            if (part < 0x80) return (long)value;
        }

        throw TooLong();
    }

    private UnsafeModelException TooLong() =>
        Refuse($"a number of more than 64 bits before byte {Position}", "10 bytes");

    private UnsafeModelException Truncated(long at) =>
        Refuse($"it ended at byte {at}, but it had {length} bytes at the start", "a file that does not change");

    private byte Byte()
    {
        var at = Position - windowStart;
        if (at < 0 || at >= windowLength)
        {
            windowStart = Position;
            windowLength = RandomAccess.Read(file, window, Position);
            if (windowLength == 0) throw Truncated(Position);
            at = 0;
        }

        Position++;
        return window[at];
    }

    private byte[] ReadBytes(int count, long end)
    {
        if (end - Position < count) throw Refuse($"a number is cut off at byte {Position}", "whole numbers");
        var bytes = new byte[count];
        for (var i = 0; i < count; i++) bytes[i] = Byte();
        return bytes;
    }

    private void Fill(Span<byte> bytes, long at)
    {
        while (bytes.Length > 0)
        {
            var read = RandomAccess.Read(file, bytes, at);
            if (read == 0) throw Truncated(at);
            bytes = bytes[read..];
            at += read;
        }
    }
}
