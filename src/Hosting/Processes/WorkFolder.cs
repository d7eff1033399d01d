using Sluice.Domain.Fleet;

namespace Sluice.Hosting.Processes;

/// <summary>
/// An empty working directory of one process, which is deleted with its content when the process has ended.
/// </summary>
public sealed class WorkFolder : IDisposable
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private WorkFolder(string path) => Path = path;

    /// <summary>Absolute path.</summary>
    public string Path { get; }

    /// <summary>
    /// Creates one in the folder for temporary files, with access for its owner only (0700). It is not below
    /// SLUICE_DATA: a worker that serves its working directory must not be one <c>..</c> away from the gateway's state.
    /// </summary>
    /// <param name="host">The gateway's host. The next gateway process of the host deletes leftover folders.</param>
    public static WorkFolder Create(HostId host)
    {
        var path = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"{Prefix(host)}{Guid.NewGuid():N}");
        if (OperatingSystem.IsWindows()) Directory.CreateDirectory(path);
        else Directory.CreateDirectory(path, OwnerOnly);
        return new WorkFolder(path);
    }

    /// <summary>
    /// Deletes the folders that an earlier gateway of this host left behind. Only one gateway of a host runs at a time,
    /// and processes end with their gateway.
    /// </summary>
    public static void DeleteLeftovers(HostId host)
    {
        var temporary = System.IO.Path.GetTempPath();
        foreach (var left in Directory.EnumerateDirectories(temporary, Prefix(host) + "*")) Delete(left);
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
            // The process removed its own access rights, or a child still writes. The next start of this gateway
            // deletes the folder.
        }
    }
}
