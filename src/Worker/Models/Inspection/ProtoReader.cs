using System.Buffers.Binary;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Sluice.Worker.Models.Inspection;

/// <summary>How a protobuf field is written.</summary>
internal enum WireType
{
    Varint = 0,
    Fixed64 = 1,
    Length = 2,
    Fixed32 = 5,
}

/// <summary>A field's head. A number has been read already; of what has a length, the reader stands at its first byte.</summary>
/// <param name="Number">Of the field in its message.</param>
/// <param name="Wire">How it is written.</param>
/// <param name="Value">The number, or the length in bytes.</param>
/// <param name="End">Offset in the file at which the field ends.</param>
internal readonly record struct ProtoField(int Number, WireType Wire, long Value, long End);

/// <summary>
/// Protobuf's wire format (protobuf.dev/programming-guides/encoding) read from a file through one window of 64 KiB:
/// what is skipped is not read, and nothing is mapped (a file cut short under a mapping would kill the process).
/// Stricter than protobuf's own parser where that guesses: what is not plainly well-formed is refused, so that the two cannot
/// read one file differently.
/// </summary>
internal sealed class ProtoReader(SafeFileHandle file, string path, long length)
{
    private const int Window = 64 << 10;
    private const int MaxVarint = 10;

    /// <summary>Bounds the time: about 5 s at 25 ns a field. Tree ensembles write a field for each number.</summary>
    private const long MaxFields = 200_000_000;

    private readonly byte[] window = new byte[Window];
    private long windowStart;
    private int windowLength;
    private long fields;

    public long Position { get; private set; }

    /// <summary>Reads the next field's head; false at <paramref name="end"/>.</summary>
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
                field = new((int)number, WireType.Fixed32, BinaryPrimitives.ReadInt32LittleEndian(Take(4, end)), Position);
                return true;
            case (int)WireType.Fixed64:
                field = new((int)number, WireType.Fixed64, BinaryPrimitives.ReadInt64LittleEndian(Take(8, end)), Position);
                return true;
            case (int)WireType.Length:
                var size = Varint(end);
                if (size < 0 || size > int.MaxValue || size > end - Position)
                    throw Refuse($"protobuf field {number} at byte {start} is {(ulong)size} bytes long", $"at most the {end - Position} left");
                field = new((int)number, WireType.Length, size, Position + size);
                return true;
            default:
                // Groups (3, 4) are not used by ONNX; 6 and 7 do not exist.
                throw Refuse($"protobuf wire type {wire} at byte {start}", "0, 1, 2, 5");
        }
    }

    /// <summary>Goes on behind the field.</summary>
    public void Skip(ProtoField field) => Position = field.End;

    public long Number(ProtoField field)
    {
        Expect(field, WireType.Varint);
        return field.Value;
    }

    /// <summary>A text of at most so many bytes; throws when it is longer or no UTF-8.</summary>
    public string Text(ProtoField field, int most)
    {
        Expect(field, WireType.Length);
        if (field.Value > most)
            throw Refuse($"protobuf field {field.Number} at byte {Position} is a text of {field.Value} bytes", $"at most {most}");
        var bytes = new byte[(int)field.Value];
        Fill(bytes, Position);
        Position = field.End;
        try
        {
            return Strict.GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            throw Refuse($"protobuf field {field.Number} ending at byte {Position} is no UTF-8", "UTF-8");
        }
    }

    /// <summary>Text for a message, from anywhere in the file, without moving on: shortened and on one line.</summary>
    public string Peek(long at, long size)
    {
        var bytes = new byte[(int)Math.Min(size, 100)];
        Fill(bytes, at);
        return Printable(Encoding.UTF8.GetString(bytes));
    }

    /// <summary>Counts the numbers in a packed field and moves behind it.</summary>
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

        return run == 0 ? count : throw Refuse($"packed field {field.Number} ends within a number at byte {Position}", "whole numbers");
    }

    /// <summary>Reads a number of a packed field.</summary>
    public long Packed(ProtoField field) => Varint(field.End);

    public void Expect(ProtoField field, WireType wire)
    {
        if (field.Wire != wire)
            throw Refuse($"protobuf field {field.Number} at byte {Position} has wire type {(int)field.Wire}", $"{(int)wire}");
    }

    /// <summary>The exception to throw, with the file's name.</summary>
    public UnsafeModelException Refuse(string found, string allowed) => new(path, found, allowed);

    /// <summary>At most 200 characters on one line.</summary>
    public static string Printable(string text) =>
        new([.. text.Take(200).Select(c => char.IsControl(c) || char.IsSurrogate(c) ? '\uFFFD' : c)]);

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

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

    private UnsafeModelException TooLong() => Refuse($"a number of more than 64 bits before byte {Position}", "10 bytes");

    private byte Byte()
    {
        var at = Position - windowStart;
        if (at < 0 || at >= windowLength)
        {
            windowStart = Position;
            windowLength = RandomAccess.Read(file, window, Position);
            if (windowLength == 0) throw Refuse($"it ended at byte {Position}, having been {length} bytes long", "a file that stays");
            at = 0;
        }

        Position++;
        return window[at];
    }

    private byte[] Take(int count, long end)
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
            if (read == 0) throw Refuse($"it ended at byte {at}, having been {length} bytes long", "a file that stays");
            bytes = bytes[read..];
            at += read;
        }
    }
}
