using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Sluice.Worker.Models.Cache;

/// <summary>flock(2), waiting; .NET's own locks only try. It goes with the handle, and with the process.</summary>
internal static partial class FileLock
{
    private const int ReadWrite = 2, Create = 0x40, CloseOnExec = 0x80000, OwnerOnly = 0x180; // 0600, octal
    private const int Exclusive = 2, Interrupted = 4;

    /// <summary>Makes the file if need be and waits until nobody else has it; throws <see cref="IOException"/> where that cannot be.</summary>
    public static SafeFileHandle Take(string path)
    {
        var file = Open(path, ReadWrite | Create | CloseOnExec, OwnerOnly);
        if (file.IsInvalid) throw Failed(path);
        while (Flock(file, Exclusive) != 0)
            if (Marshal.GetLastPInvokeError() != Interrupted)
            {
                var failed = Failed(path);
                file.Dispose();
                throw failed;
            }

        return file;
    }

    private static IOException Failed(string path) => new($"cannot lock {path}: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}");

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial SafeFileHandle Open(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    private static partial int Flock(SafeFileHandle file, int operation);
}
