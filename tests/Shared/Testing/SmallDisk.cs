using System.Diagnostics;

namespace Sluice.Testing;

/// <summary>
/// A file system of a few MiB in memory, which a test can fill. Only root can mount one; see <see cref="WhyNot"/>.
/// </summary>
public sealed class SmallDisk : IDisposable
{
    private const string Ballast = "ballast";

    /// <param name="size">The size in the format of mount(8): <c>2m</c>.</param>
    public SmallDisk(string size) => Run("mount", "-t", "tmpfs", "-o", $"size={size},mode=0777", "none", Folder);

    public string Folder { get; } = Directory.CreateTempSubdirectory("sluice-disk-").FullName;

    /// <summary>Why none can be mounted here; null if one can.</summary>
    public static string? WhyNot { get; } = Find();

    /// <summary>Writes a file until the disk is full.</summary>
    public void Fill()
    {
        var path = Path.Combine(Folder, Ballast);
        using var file = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, 0);
        var block = new byte[4096];
        try
        {
            while (true) file.Write(block);
        }
        catch (IOException)
        {
            // The disk is full.
        }
    }

    /// <summary>Deletes the file that <see cref="Fill"/> wrote.</summary>
    public void Free() => File.Delete(Path.Combine(Folder, Ballast));

    public void Dispose()
    {
        Run("umount", "-l", Folder);
        Directory.Delete(Folder);
    }

    private static string? Find()
    {
        try
        {
            using var disk = new SmallDisk("64k");
            return null;
        }
        catch (Exception e)
        {
            return $"no file system can be mounted here: {e.Message}";
        }
    }

    private static void Run(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        var said = process.StandardError.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"{program} exited with {process.ExitCode}: {said.Trim()}");
    }
}
