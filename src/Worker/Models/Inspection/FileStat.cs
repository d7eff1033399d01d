using System.Buffers.Binary;
using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Sluice.Worker.Models.Inspection;

/// <summary>
/// What the kernel says of a path itself, links not followed. .NET offers neither the number of links nor the inode.
/// </summary>
/// <param name="Mode">Type and permissions, as in stat(2).</param>
/// <param name="Links">Hard links to it.</param>
/// <param name="Inode">Number within its file system.</param>
/// <param name="Size">Bytes.</param>
/// <param name="Modified">Nanoseconds since 1970: last write.</param>
/// <param name="Changed">Nanoseconds since 1970: last change of content or inode; unlike <paramref name="Modified"/> it cannot be set.</param>
/// <param name="Owner">User id.</param>
internal readonly partial record struct FileStat(
    ushort Mode, uint Links, ulong Inode, long Size, Int128 Modified, Int128 Changed, uint Owner)
{
    private const int TypeMask = 0xF000, RegularType = 0x8000, FolderType = 0x4000, LinkType = 0xA000;
    private const int NoSuchFile = 2, NotAFolder = 20;

    public bool IsFile => (Mode & TypeMask) == RegularType;

    public bool IsFolder => (Mode & TypeMask) == FolderType;

    public bool IsSymbolicLink => (Mode & TypeMask) == LinkType;

    /// <summary>Somebody other than the owner may write.</summary>
    public bool OthersMayWrite => (Mode & 0x12) != 0; // 022, octal

    /// <summary>Null when there is no such file; throws <see cref="IOException"/> with the system's reason when it cannot be asked.</summary>
    public static unsafe FileStat? Of(string path)
    {
        // statx(2) rather than stat(2): its layout is the same on every architecture.
        const int currentFolder = -100, noFollow = 0x100;
        const uint basicStats = 0x7ff;
        Span<byte> buffer = stackalloc byte[256];
        fixed (byte* at = buffer)
            if (StatX(currentFolder, path, noFollow, basicStats, at) != 0)
            {
                var error = Marshal.GetLastPInvokeError();
                return error is NoSuchFile or NotAFolder ? null
                    : throw new IOException($"{path}: {new Win32Exception(error).Message}");
            }

        return new FileStat(
            Mode: BinaryPrimitives.ReadUInt16LittleEndian(buffer[28..]),
            Links: BinaryPrimitives.ReadUInt32LittleEndian(buffer[16..]),
            Inode: BinaryPrimitives.ReadUInt64LittleEndian(buffer[32..]),
            Size: BinaryPrimitives.ReadInt64LittleEndian(buffer[40..]),
            Modified: Nanoseconds(buffer[112..]),
            Changed: Nanoseconds(buffer[96..]),
            Owner: BinaryPrimitives.ReadUInt32LittleEndian(buffer[20..]));
    }

    private static Int128 Nanoseconds(ReadOnlySpan<byte> at) =>
        (Int128)BinaryPrimitives.ReadInt64LittleEndian(at) * 1_000_000_000 + BinaryPrimitives.ReadUInt32LittleEndian(at[8..]);

    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static unsafe partial int StatX(int folder, string path, int flags, uint mask, byte* buffer);
}
