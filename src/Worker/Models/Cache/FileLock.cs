using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Sluice.Worker.Models.Cache;

/// <summary>
/// An exclusive flock(2) lock that waits; .NET's file locks only try once. The kernel releases it when the handle is
/// closed or the process ends.
/// </summary>
internal static partial class FileLock
{
    private const int ReadWrite = 2, Create = 0x40, CloseOnExec = 0x80000, OwnerOnly = 0x180; // 0600, octal
    private const int Exclusive = 2, Interrupted = 4;

    /// <summary>Creates the file if it does not exist, and waits until no other process holds the lock.</summary>
    /// <exception cref="IOException">The file cannot be opened or locked.</exception>
    public static SafeFileHandle Acquire(string path)
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

    private static IOException Failed(string path) =>
        new($"cannot lock {path}: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}");

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial SafeFileHandle Open(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    private static partial int Flock(SafeFileHandle file, int operation);
}
