namespace Sluice.Models.Downloads;

/// <summary>
/// A lock between the gateways of one machine: flock(2) on a file, which the kernel releases when the process ends.
/// .NET takes it when it opens a file: shared for <see cref="FileAccess.Read"/>, exclusive for
/// <see cref="FileShare.None"/>. The files are never deleted, because two processes could then lock different files of
/// one name.
/// </summary>
internal static class StoreLock
{
    /// <summary>Acquires the lock together with other readers; null: a writer has it.</summary>
    public static FileStream? TryShared(string path)
    {
        using (File.Open(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite))
        {
            // Creates the file. FileShare.ReadWrite takes no lock.
        }

        return TryOpen(path, FileMode.Open, FileAccess.Read, FileShare.Read);
    }

    /// <summary>Acquires the lock alone; null: another process or caller has it.</summary>
    public static FileStream? TryExclusive(string path) =>
        TryOpen(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);

    private static FileStream? TryOpen(string path, FileMode mode, FileAccess access, FileShare share)
    {
        try
        {
            return new FileStream(path, mode, access, share, 1);
        }
        catch (IOException e) when (e.HResult == WouldBlock)
        {
            return null;
        }
    }

    /// <summary>EWOULDBLOCK; see errno(3).</summary>
    private const int WouldBlock = 11;
}
