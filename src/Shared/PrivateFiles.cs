using System.Runtime.InteropServices;

namespace Sluice.Shared;

/// <summary>Restricts access to the gateway's files to the user that runs the gateway.</summary>
public static partial class PrivateFiles
{
    private const UnixFileMode Others =
        UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.GroupExecute
        | UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;

    /// <summary>The mode of private folders, 0700.</summary>
    public const UnixFileMode Folder = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private const uint OwnerOnly = 0x3F; // 077, octal

    private const int StandardError = 2, SetFlags = 2, CloseOnExec = 1;

    /// <summary>
    /// Restricts the files that this process and its children (Redis, workers) create from now on to their owner:
    /// umask(2). Children inherit no file descriptor that this process was started with, except the standard streams
    /// (fcntl(2), FD_CLOEXEC). .NET already opens its own files in this way.
    /// </summary>
    public static void RestrictProcess()
    {
        if (!OperatingSystem.IsLinux()) return;
        _ = Umask(OwnerOnly);
        foreach (var path in Directory.GetFiles("/proc/self/fd"))
            if (int.TryParse(Path.GetFileName(path), out var descriptor) && descriptor > StandardError)
                _ = Control(descriptor, SetFlags, CloseOnExec);
    }

    /// <summary>
    /// Removes the permissions of group and others from a folder and everything below it. Symbolic links are not
    /// followed.
    /// </summary>
    /// <returns>
    /// The path and the error of the first entry whose permissions could not be changed, for example an entry of
    /// another user in a mounted volume; null if there is none.
    /// </returns>
    public static string? RestrictToOwner(string folder)
    {
        if (OperatingSystem.IsWindows()) return null;
        string? failed = null;
        var below = new EnumerationOptions
        {
            RecurseSubdirectories = true,
            AttributesToSkip = FileAttributes.ReparsePoint,
            IgnoreInaccessible = true,
        };
        var root = new DirectoryInfo(folder);
        foreach (var entry in root.EnumerateFileSystemInfos("*", below).Prepend(root))
        {
            try
            {
                if ((entry.UnixFileMode & Others) != 0) entry.UnixFileMode &= ~Others;
            }
            catch (Exception e) when (e is UnauthorizedAccessException or IOException)
            {
                // A file that was deleted after the enumeration needs no change.
                if (e is not (FileNotFoundException or DirectoryNotFoundException))
                    failed ??= $"{entry.FullName}: {e.Message}";
            }
        }

        return failed;
    }

    /// <summary>
    /// Copies the permissions of group and others from a folder that an operator shares between users to an entry in
    /// it. Does nothing if only the owner has access to the folder.
    /// </summary>
    /// <param name="folder">The shared folder.</param>
    /// <param name="entry">A file or folder below it that this process has just created with its umask.</param>
    public static void CopySharedAccess(string folder, FileSystemInfo entry)
    {
        if (OperatingSystem.IsWindows()) return;
        const UnixFileMode execute = UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
        var shared = File.GetUnixFileMode(folder) & Others;
        if (entry is FileInfo) shared &= ~execute;
        // A folder that a gateway of another user created already has these permissions.
        if ((entry.UnixFileMode & shared) != shared) entry.UnixFileMode |= shared;
    }

    [LibraryImport("libc", EntryPoint = "umask")]
    private static partial uint Umask(uint mask);

    [LibraryImport("libc", EntryPoint = "fcntl")]
    private static partial int Control(int descriptor, int command, int value);
}
