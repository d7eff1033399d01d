using System.Security.Cryptography;
using Sluice.Domain.Fleet;
using Sluice.Shared;

namespace Sluice.Gateway.Startup;

/// <summary>
/// The folder with the state of this gateway. A lock file ensures that only one process uses it at a time.
/// </summary>
public sealed class DataFolder : IDisposable
{
    private readonly FileStream @lock;

    /// <summary>Creates the folder if it does not exist, and locks it.</summary>
    /// <param name="path">The folder.</param>
    /// <exception cref="InvalidOperationException">The folder cannot be used, or another gateway uses it.</exception>
    public DataFolder(string path)
    {
        Path = path;
        try
        {
            if (OperatingSystem.IsWindows()) Directory.CreateDirectory(path);
            else Directory.CreateDirectory(path, PrivateFiles.Folder);
            @lock = new FileStream(System.IO.Path.Combine(path, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite,
                FileShare.None);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InvalidOperationException($"SLUICE_DATA is '{path}'; expected a writable folder that no other "
                + $"gateway uses. Cause: {e.Message}", e);
        }

        Host = new HostId(ReadOrCreate(System.IO.Path.Combine(path, "host-id")));
        // Older versions created files that every user can read.
        OpenToOthers = PrivateFiles.RestrictToOwner(path);
    }

    /// <summary>
    /// Files that other users can access although they should not, and the reason. Null if there are none.
    /// </summary>
    public string? OpenToOthers { get; }

    /// <summary>The path of the folder.</summary>
    public string Path { get; }

    /// <summary>
    /// The id of this machine as a pod host. It is stored in the folder, so that a new process recognizes the pods of
    /// an earlier process.
    /// </summary>
    public HostId Host { get; }

    public void Dispose() => @lock.Dispose();

    private static string ReadOrCreate(string file)
    {
        if (File.Exists(file) && File.ReadAllText(file).Trim() is { Length: > 0 } id) return id;
        var created =
            $"{Environment.MachineName.ToLowerInvariant()}-{RandomNumberGenerator.GetHexString(6, lowercase: true)}";
        File.WriteAllText(file, created + "\n");
        return created;
    }
}
