using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Sluice.Models.Downloads;

/// <summary>Makes the names in a folder durable: fsync(2) of the folder, which .NET does not offer.</summary>
public static partial class FolderSync
{
    private const int DirectoryFlags = 0x10000 | 0x80000; // O_DIRECTORY | O_CLOEXEC

    /// <summary>Writes the entries of a folder to disk. Otherwise a power cut can undo a rename.</summary>
    public static void Flush(string folder)
    {
        if (!OperatingSystem.IsLinux()) return;
        using var handle = Open(folder, DirectoryFlags);
        if (!handle.IsInvalid) _ = Sync(handle);
    }

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync")]
    private static partial int Sync(SafeFileHandle folder);
}
