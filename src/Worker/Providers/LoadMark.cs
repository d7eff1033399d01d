using System.Globalization;

namespace Sluice.Worker.Providers;

/// <summary>
/// A file that exists while a process loads something and runs it for the first time. The process holds an exclusive
/// flock(2) on it and deletes it after the first successful run. The kernel releases the lock when the process ends,
/// so a mark without a lock means that a load ended its process. Locks also work between containers that share a
/// folder; process ids do not.
/// </summary>
internal sealed class LoadMark : IDisposable
{
    private const string Infix = ".loading-", Unnamed = "new-mark-";

    private readonly FileStream file;

    private LoadMark(FileStream file, string path)
    {
        this.file = file;
        Path = path;
    }

    /// <summary>Path of the mark.</summary>
    public string Path { get; }

    /// <summary>Creates the mark.</summary>
    /// <param name="folder">An existing folder.</param>
    /// <param name="name">What is loaded.</param>
    /// <param name="time">Clock for the text of the mark.</param>
    /// <exception cref="IOException">The folder cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder cannot be written.</exception>
    public static LoadMark Create(string folder, string name, TimeProvider time)
    {
        var id = Guid.NewGuid().ToString("N");
        // The file is locked before it gets its final name, so a mark is never visible without its lock.
        var unnamed = System.IO.Path.Combine(folder, Unnamed + id);
        var file = new FileStream(unnamed, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None);
        try
        {
            file.Write(System.Text.Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture,
                $"{BootId()}\nprocess {Environment.ProcessId} at {time.GetUtcNow():yyyy-MM-ddTHH:mm:ssZ}\n")));
            file.Flush();
            var path = System.IO.Path.Combine(folder, name + Infix + id);
            File.Move(unnamed, path);
            return new LoadMark(file, path);
        }
        catch
        {
            file.Dispose();
            File.Delete(unnamed);
            throw;
        }
    }

    /// <summary>
    /// Deletes the marks of ended processes and returns the text of one of them. Null if no load ended its process.
    /// Marks from an earlier boot of the machine are deleted and ignored, because the machine stopped and not the
    /// process.
    /// </summary>
    public static string? TakeDead(string folder, string name)
    {
        string? dead = null;
        foreach (var path in Directory.EnumerateFiles(folder, name + Infix + "*"))
        {
            try
            {
                using var mark = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
                using var reader = new StreamReader(mark);
                var (boot, text) = (reader.ReadLine(), reader.ReadLine());
                File.Delete(path);
                if (boot == BootId()) dead = text;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // The process of the mark still runs and holds the lock, or it has just deleted the mark.
            }
        }

        return dead;
    }

    /// <summary>Deletes the mark.</summary>
    public void Dispose()
    {
        try
        {
            File.Delete(Path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The folder was deleted or can no longer be written. Closing the file releases the lock in any case.
        }

        file.Dispose();
    }

    private static string BootId()
    {
        const string path = "/proc/sys/kernel/random/boot_id";
        return File.Exists(path) ? File.ReadAllText(path).Trim() : "";
    }
}
