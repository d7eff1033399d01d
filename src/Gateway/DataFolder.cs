using System.Security.Cryptography;
using Sluice.Core;
using Sluice.Core.Workers;

namespace Sluice.Gateway;

/// <summary>This gateway's state on disk, for one process at a time.</summary>
public sealed class DataFolder : IDisposable
{
    private readonly FileStream @lock;

    /// <summary>Makes the folder when it is missing; throws when another gateway uses it.</summary>
    public DataFolder(string path)
    {
        Path = path;
        try
        {
            if (OperatingSystem.IsWindows()) Directory.CreateDirectory(path);
            else Directory.CreateDirectory(path, PrivateFiles.Folder);
            @lock = new FileStream(System.IO.Path.Combine(path, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InvalidOperationException($"SLUICE_DATA is '{path}': {e.Message} (another gateway may be using it)", e);
        }

        Host = new HostId(ReadOrMake(System.IO.Path.Combine(path, "host-id")));
        // Older versions left files that every user could read.
        OpenToOthers = PrivateFiles.RestrictToOwner(path);
    }

    /// <summary>What in the folder other users may access although they should not, and why; null: nothing.</summary>
    public string? OpenToOthers { get; }

    public string Path { get; }

    /// <summary>This machine's name as a host of pods; kept, so that a new process knows what an earlier one left.</summary>
    public HostId Host { get; }

    public void Dispose() => @lock.Dispose();

    private static string ReadOrMake(string file)
    {
        if (File.Exists(file) && File.ReadAllText(file).Trim() is { Length: > 0 } id) return id;
        var made = $"{Environment.MachineName.ToLowerInvariant()}-{RandomNumberGenerator.GetHexString(6, lowercase: true)}";
        File.WriteAllText(file, made + "\n");
        return made;
    }
}
