using System.Runtime.InteropServices;

namespace Sluice.Core;

/// <summary>Keeps files of the gateway from other users of the machine.</summary>
public static partial class PrivateFiles
{
    private const UnixFileMode Others = UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.GroupExecute
        | UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;

    /// <summary>0700.</summary>
    public const UnixFileMode Folder = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private const uint OwnerOnly = 0x3F; // 077, octal

    private const int StandardError = 2, SetFlags = 2, CloseOnExec = 1;

    /// <summary>
    /// Files that this process and its children (Redis, workers) create from now on are for their owner alone: umask(2). Children get no file that this
    /// process was started with, except the standard streams (fcntl(2), FD_CLOEXEC); .NET opens its own files in that way already.
    /// </summary>
    public static void Become()
    {
        if (!OperatingSystem.IsLinux()) return;
        _ = Umask(OwnerOnly);
        foreach (var path in Directory.GetFiles("/proc/self/fd"))
            if (int.TryParse(Path.GetFileName(path), out var descriptor) && descriptor > StandardError) _ = Control(descriptor, SetFlags, CloseOnExec);
    }

    /// <summary>
    /// Takes the rights of group and others from a folder and everything below it; links are not followed. Returns the path and reason of the first
    /// entry whose rights stay, or null: an entry of another user (a mounted volume, say) cannot be changed.
    /// </summary>
    public static string? Tighten(string folder)
    {
        if (OperatingSystem.IsWindows()) return null;
        string? failed = null;
        var below = new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint, IgnoreInaccessible = true };
        foreach (var entry in new DirectoryInfo(folder).EnumerateFileSystemInfos("*", below).Prepend(new DirectoryInfo(folder)))
        {
            try
            {
                if ((entry.UnixFileMode & Others) != 0) entry.UnixFileMode &= ~Others;
            }
            catch (Exception e) when (e is UnauthorizedAccessException or IOException)
            {
                // FileNotFoundException among them: a file that has just been deleted has no rights.
                if (e is not (FileNotFoundException or DirectoryNotFoundException)) failed ??= $"{entry.FullName}: {e.Message}";
            }
        }

        return failed;
    }

    /// <summary>
    /// Gives an entry the rights that group and others have in a folder that an operator shares between users; nothing is given where the folder is its
    /// owner's alone.
    /// </summary>
    /// <param name="folder">The shared folder.</param>
    /// <param name="entry">A file or folder below it that this process has just created, under its umask.</param>
    public static void ShareLike(string folder, FileSystemInfo entry)
    {
        if (OperatingSystem.IsWindows()) return;
        const UnixFileMode execute = UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
        var shared = File.GetUnixFileMode(folder) & Others;
        if (entry is FileInfo) shared &= ~execute;
        // A folder that a gateway of another user created has the rights already.
        if ((entry.UnixFileMode & shared) != shared) entry.UnixFileMode |= shared;
    }

    [LibraryImport("libc", EntryPoint = "umask")]
    private static partial uint Umask(uint mask);

    [LibraryImport("libc", EntryPoint = "fcntl")]
    private static partial int Control(int descriptor, int command, int value);
}
