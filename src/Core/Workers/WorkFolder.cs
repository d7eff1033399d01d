namespace Sluice.Core.Workers;

/// <summary>An empty working directory of one process; deleted with its content when the process has ended.</summary>
public sealed class WorkFolder : IDisposable
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private WorkFolder(string path) => Path = path;

    /// <summary>Absolute path.</summary>
    public string Path { get; }

    /// <summary>
    /// Creates one in the folder for temporary files, for its owner alone (0700). Not below SLUICE_DATA: a worker that serves its working directory
    /// must not be one <c>..</c> away from the state of the gateway.
    /// </summary>
    /// <param name="host">The gateway's host: its next start deletes what this one leaves.</param>
    public static WorkFolder Create(HostId host)
    {
        var path = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"{Prefix(host)}{Guid.NewGuid():N}");
        if (OperatingSystem.IsWindows()) Directory.CreateDirectory(path);
        else Directory.CreateDirectory(path, OwnerOnly);
        return new WorkFolder(path);
    }

    /// <summary>Deletes what an earlier gateway of this host left. Only one gateway runs for a host at a time, and processes end with their gateway.</summary>
    public static void DeleteLeft(HostId host)
    {
        foreach (var left in Directory.EnumerateDirectories(System.IO.Path.GetTempPath(), Prefix(host) + "*")) Delete(left);
    }

    public void Dispose() => Delete(Path);

    private static string Prefix(HostId host) => $"sluice-work-{host.Value}-";

    private static void Delete(string path)
    {
        try
        {
            Directory.Delete(path, recursive: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Its process took its own rights away, or a child still writes: the next start of this gateway deletes it.
        }
    }
}
