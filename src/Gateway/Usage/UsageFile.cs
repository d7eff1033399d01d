using System.IO.MemoryMappedFiles;
using System.Text;
using Sluice.Domain.Usage;

namespace Sluice.Gateway.Usage;

/// <summary>
/// A memory-mapped file with the sums of one gateway process that the ledger has not confirmed. The kernel writes it,
/// so it survives the process, but not the machine. Not thread-safe.
/// </summary>
/// <remarks>
/// It begins with the version, the number of the last batch, the time of the last change in Unix ms, and the id of the
/// gateway. Each row has a slot: the length of its name, or 0 if it is free, the sums, and the name, which is
/// "endpoint, key, model, GPU" with a zero byte between two of them.
/// </remarks>
internal sealed class UsageFile : IDisposable
{
    /// <summary>Rows that one file can contain. Further ones are only in memory.</summary>
    public const int MaxRows = 8192;

    /// <summary>Changes with the layout and the quantities.</summary>
    private const long Version = 0x0100_0000_6567_7375;

    private const int HeaderSize = 4096, SlotSize = 768, GatewayAt = 24, MaxGateway = 256;

    private static readonly int NameAt = sizeof(long) + UsageSlot.Size;
    private static readonly int MaxName = SlotSize - NameAt;

    private readonly string path;
    private readonly MemoryMappedFile file;
    private readonly MemoryMappedViewAccessor view;
    private readonly Stack<int> free = new();
    private int used;

    private UsageFile(string path, FileStream stream)
    {
        this.path = path;
        file = MemoryMappedFile.CreateFromFile(
            stream, null, 0, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: false);
        view = file.CreateViewAccessor();
    }

    /// <summary>The id of the gateway.</summary>
    public string Gateway => Encoding.UTF8.GetString(Bytes(GatewayAt, MaxGateway)).TrimEnd('\0');

    /// <summary>The number of the last batch.</summary>
    public long LastNumber => view.ReadInt64(8);

    /// <summary>When the last batch began.</summary>
    public DateTimeOffset LastChange => DateTimeOffset.FromUnixTimeMilliseconds(view.ReadInt64(16));

    /// <summary>The rows that are not free.</summary>
    public IEnumerable<(string Endpoint, UsageRow Row, UsageSlot Slot)> Rows
    {
        get
        {
            for (var i = 0; i < MaxRows; i++)
            {
                var at = PositionOf(i);
                if (view.ReadInt64(at) is not (> 0 and var length) || length > MaxName) continue;
                if (Encoding.UTF8.GetString(Bytes(at + NameAt, (int)length)).Split('\0')
                    is [var endpoint, var key, var model, var gpu])
                    yield return (endpoint, new UsageRow(key, model, gpu), new UsageSlot(view, at + sizeof(long)));
            }
        }
    }

    /// <summary>Creates the file of a process. Its disk space is reserved, so that a full disk cannot end it.</summary>
    /// <exception cref="IOException">The file cannot be created.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder cannot be written.</exception>
    public static UsageFile Create(string path, string gateway)
    {
        var size = HeaderSize + ((long)MaxRows * SlotSize);
        var stream = new FileStream(path, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.ReadWrite,
            PreallocationSize = size,
        });
        stream.SetLength(size);
        var created = new UsageFile(path, stream);
        created.Write(GatewayAt, Encoding.UTF8.GetBytes(gateway));
        created.view.Write(0, Version);
        return created;
    }

    /// <summary>Opens the file of a process that has ended. Null: another version wrote it, or not all of it.</summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static UsageFile? Open(string path)
    {
        var stream = new FileStream(path, FileMode.Open, FileAccess.ReadWrite);
        if (stream.Length == HeaderSize + ((long)MaxRows * SlotSize))
        {
            var opened = new UsageFile(path, stream);
            if (opened.view.ReadInt64(0) == Version) return opened;
            opened.Dispose();
            return null;
        }

        stream.Dispose();
        return null;
    }

    /// <summary>Stores the number of the batch that begins. It is stored before any sums have it.</summary>
    public void BeginBatch(long number, DateTimeOffset now)
    {
        view.Write(8, number);
        view.Write(16, now.ToUnixTimeMilliseconds());
        Interlocked.MemoryBarrier();
    }

    /// <summary>Returns a slot for a row. Null: the file is full, or the name is too long for it.</summary>
    public UsageSlot? TryTake(string endpoint, UsageRow row)
    {
        var name = Encoding.UTF8.GetBytes($"{endpoint}\0{row.Key}\0{row.Model}\0{row.Gpu}");
        if (name.Length > MaxName || name.AsSpan().Count((byte)0) != 3) return null;
        if (!free.TryPop(out var index) && (index = used) == MaxRows) return null;
        if (index == used) used++;
        var at = PositionOf(index);
        Write(at + NameAt, name);
        Interlocked.MemoryBarrier();
        view.Write(at, (long)name.Length);
        return new UsageSlot(view, at + sizeof(long));
    }

    /// <summary>Frees a slot without sums. A slot of another file, or of none, is ignored.</summary>
    public void Free(UsageSlot slot)
    {
        if (slot.Position == 0) return;
        view.Write(slot.Position - sizeof(long), 0L);
        free.Push((int)((slot.Position - sizeof(long) - HeaderSize) / SlotSize));
    }

    /// <summary>Closes and deletes the file: the ledger has confirmed all of it.</summary>
    public void Delete()
    {
        Dispose();
        File.Delete(path);
    }

    public void Dispose()
    {
        view.Dispose();
        file.Dispose();
    }

    private static long PositionOf(int index) => HeaderSize + ((long)index * SlotSize);

    private byte[] Bytes(long at, int count)
    {
        var bytes = new byte[count];
        view.ReadArray(at, bytes, 0, count);
        return bytes;
    }

    private void Write(long at, byte[] bytes) => view.WriteArray(at, bytes, 0, bytes.Length);
}
