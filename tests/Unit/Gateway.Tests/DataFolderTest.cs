using Sluice.Gateway.Startup;

namespace Sluice.Gateway.Tests;

/// <summary>Tests the file permissions of the gateway's data folder.</summary>
public sealed class DataFolderTest : IDisposable
{
    private const UnixFileMode All = (UnixFileMode)0b111_111_111, Read = (UnixFileMode)0b110_100_100;

    private readonly string outside = Directory.CreateTempSubdirectory("sluice-outside-").FullName;
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-data-").FullName;

    public void Dispose()
    {
        Directory.Delete(folder, recursive: true);
        Directory.Delete(outside, recursive: true);
    }

    [Fact]
    public void Files_in_an_existing_folder_become_private_and_files_outside_do_not_change()
    {
        if (OperatingSystem.IsWindows()) return;
        var log = Directory.CreateDirectory(Path.Combine(folder, "redis", "appendonlydir")).FullName;
        var other = Path.Combine(outside, "file");
        foreach (var file in new[] { Path.Combine(log, "appendonly.aof"), Path.Combine(folder, "host-id"), other })
        {
            File.WriteAllText(file, "host-1\n");
            File.SetUnixFileMode(file, Read);
        }

        foreach (var path in new[] { folder, Path.Combine(folder, "redis"), log, outside })
            File.SetUnixFileMode(path, All);
        File.CreateSymbolicLink(Path.Combine(folder, "link"), other);
        Directory.CreateSymbolicLink(Path.Combine(folder, "way"), outside);

        using (var data = new DataFolder(folder)) Assert.Null(data.OpenToOthers);

        string[] folders = [folder, Path.Combine(folder, "redis"), log];
        Assert.Equal("700 700 700", string.Join(' ', folders.Select(Mode)));
        string[] files =
            [Path.Combine(log, "appendonly.aof"), Path.Combine(folder, "host-id"), Path.Combine(folder, "lock")];
        Assert.Equal("600 600 600", string.Join(' ', files.Select(Mode)));
        Assert.Equal(("777", "644"), (Mode(outside), Mode(other)));
    }

    private static string Mode(string path) =>
        OperatingSystem.IsWindows() ? "" : Convert.ToString((int)File.GetUnixFileMode(path), 8);
}
