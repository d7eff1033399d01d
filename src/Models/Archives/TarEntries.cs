using System.Buffers;
using System.Buffers.Binary;
using System.Formats.Tar;
using System.Globalization;
using System.Text;

namespace Sluice.Models.Archives;

/// <summary>
/// Reads the entries of a tar file (pax and ustar of POSIX.1-2001, and GNU's long names) with constant memory. The
/// archive is not trusted: .NET's <see cref="TarReader"/> allocates the size that a long name or extended attributes
/// state, up to 2 GiB.
/// </summary>
/// <param name="stream">The tar file.</param>
/// <param name="maxBytes">Maximum number of bytes that are read from it.</param>
internal sealed class TarEntries(Stream stream, long maxBytes)
{
    private const int BlockBytes = 512, BufferBytes = 64 << 10;

    /// <summary>Largest size of a long name or of extended attributes. Linux limits a path to 4096 bytes.</summary>
    private const int MaxMetadata = 1 << 20;

    private const char Attributes = 'x', GlobalAttributes = 'g', LongName = 'L', LongLink = 'K';

    private readonly byte[] header = new byte[BlockBytes];
    private long total;
    private long content;
    private int padding;

    /// <summary>The path of the current entry, as the archive has it.</summary>
    public string Name { get; private set; } = "";

    /// <summary>The kind of the current entry.</summary>
    public TarEntryType Kind { get; private set; }

    /// <summary>Moves to the next entry. Returns false at the end of the archive.</summary>
    /// <exception cref="InvalidDataException">The archive is damaged, or exceeds a limit.</exception>
    /// <exception cref="EndOfStreamException">The archive is truncated.</exception>
    public async Task<bool> MoveNextAsync(CancellationToken ct)
    {
        await SkipAsync(ct);
        string? name = null;
        long? size = null;
        while (await ReadHeaderAsync(ct))
        {
            SetContent(ReadNumber(header.AsSpan(124, 12)));
            switch ((char)header[156])
            {
                case Attributes:
                    ReadAttributes(await ReadMetadataAsync(ct), ref name, ref size);
                    break;
                case LongName:
                    name = ReadText(await ReadMetadataAsync(ct));
                    break;
                case GlobalAttributes or LongLink:
                    await SkipAsync(ct);
                    break;
                default:
                    Kind = (TarEntryType)header[156];
                    Name = name ?? ReadName();
                    // These kinds have no content, whatever the header states.
                    var hasContent = Kind is not (TarEntryType.HardLink or TarEntryType.SymbolicLink
                        or TarEntryType.Fifo or TarEntryType.CharacterDevice or TarEntryType.BlockDevice
                        or TarEntryType.Directory);
                    SetContent(hasContent ? size ?? content : 0);
                    return true;
            }
        }

        return false;
    }

    /// <summary>Reads content of the current entry. Returns 0 at its end.</summary>
    public async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken ct)
    {
        if (content == 0) return 0;
        var n = await ReadSomeAsync(buffer[..(int)Math.Min(buffer.Length, content)], ct);
        if (n == 0) throw new EndOfStreamException("the archive ends in the content of an entry");
        content -= n;
        return n;
    }

    private void SetContent(long size)
    {
        content = size;
        padding = (int)((BlockBytes - (size % BlockBytes)) % BlockBytes);
    }

    /// <summary>Reads the rest of the current entry.</summary>
    private async Task SkipAsync(CancellationToken ct)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            while (await ReadAsync(buffer, ct) > 0)
            {
                // The content is not used.
            }

            await ReadAllAsync(buffer.AsMemory(0, padding), ct);
            padding = 0;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Reads a header. Returns false at the end, which a block of zeros marks.</summary>
    private async Task<bool> ReadHeaderAsync(CancellationToken ct)
    {
        var n = await ReadSomeAsync(header, ct);
        if (n == 0) return false;
        await ReadAllAsync(header.AsMemory(n), ct);
        if (!header.AsSpan().ContainsAnyExcept((byte)0)) return false;
        // The field of the checksum itself counts as spaces.
        var sum = header.Sum(b => (long)b) - header[148..156].Sum(b => (long)b) + (8 * ' ');
        return sum == ReadNumber(header.AsSpan(148, 8)) ? true
            : throw new InvalidDataException("the checksum of a header is wrong");
    }

    private async Task<byte[]> ReadMetadataAsync(CancellationToken ct)
    {
        if (content > MaxMetadata)
            throw new InvalidDataException(
                $"an entry has {content} bytes of names and attributes; expected at most {MaxMetadata}");
        var bytes = new byte[content];
        await ReadAllAsync(bytes, ct);
        content = 0;
        await SkipAsync(ct);
        return bytes;
    }

    private async Task ReadAllAsync(Memory<byte> buffer, CancellationToken ct)
    {
        while (buffer.Length > 0)
        {
            var n = await ReadSomeAsync(buffer, ct);
            if (n == 0) throw new EndOfStreamException("the archive ends in an entry");
            buffer = buffer[n..];
        }
    }

    private async ValueTask<int> ReadSomeAsync(Memory<byte> buffer, CancellationToken ct)
    {
        var n = await stream.ReadAsync(buffer, ct);
        total += n;
        return total <= maxBytes ? n
            : throw new InvalidDataException($"it has more than {maxBytes} bytes after decompression");
    }

    private string ReadName()
    {
        var name = ReadText(header.AsSpan(0, 100));
        // GNU's format has other fields in the place of the prefix.
        var prefix = header.AsSpan(257, 6).SequenceEqual("ustar\0"u8) ? ReadText(header.AsSpan(345, 155)) : "";
        return prefix.Length > 0 ? $"{prefix}/{name}" : name;
    }

    /// <summary>Reads a number: octal digits, or big-endian bytes after a byte 0x80.</summary>
    private static long ReadNumber(ReadOnlySpan<byte> field)
    {
        if (field[0] >= 0x80)
        {
            var high = field[1..^8];
            var number = BinaryPrimitives.ReadInt64BigEndian(field[^8..]);
            return field[0] == 0x80 && !high.ContainsAnyExcept((byte)0) && number >= 0 ? number
                : throw new InvalidDataException("a number of a header is too large");
        }

        var value = 0L;
        foreach (var digit in field.Trim(" \0"u8))
            value = digit is >= (byte)'0' and <= (byte)'7' ? (value * 8) + digit - '0'
                : throw new InvalidDataException("a number of a header is not octal");
        return value;
    }

    /// <summary>Reads the records <c>LENGTH KEY=VALUE\n</c> of extended attributes.</summary>
    private static void ReadAttributes(ReadOnlySpan<byte> records, ref string? name, ref long? size)
    {
        while (records.Length > 0)
        {
            var space = records.IndexOf((byte)' ');
            if (space <= 0 || !int.TryParse(
                    records[..space], NumberStyles.None, CultureInfo.InvariantCulture, out var length)
                || length <= space + 1 || length > records.Length || records[length - 1] != '\n')
                throw new InvalidDataException("extended attributes have an invalid record");
            var record = records[(space + 1)..(length - 1)];
            records = records[length..];
            var equals = record.IndexOf((byte)'=');
            if (equals <= 0) throw new InvalidDataException("an extended attribute has no name");
            var value = record[(equals + 1)..];
            switch (Encoding.UTF8.GetString(record[..equals]))
            {
                case "path":
                    name = ReadText(value);
                    break;
                case "size":
                    size = long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var bytes) ? bytes
                        : throw new InvalidDataException("the size of an entry is not a number");
                    break;
                case var key when key.StartsWith("GNU.sparse.", StringComparison.Ordinal):
                    throw new InvalidDataException("it has a sparse file; create it without --sparse");
            }
        }
    }

    /// <summary>Returns the text before the first zero.</summary>
    private static string ReadText(ReadOnlySpan<byte> bytes) =>
        Encoding.UTF8.GetString(bytes.IndexOf((byte)0) is var end and >= 0 ? bytes[..end] : bytes);
}
