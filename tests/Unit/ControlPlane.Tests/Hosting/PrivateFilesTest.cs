using Sluice.Shared;

namespace Sluice.ControlPlane.Tests.Hosting;

/// <summary>Rights in a folder of payloads that an operator shares between users.</summary>
public sealed class PrivateFilesTest : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-shared-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [InlineData("700", "700", "600")]
    [InlineData("770", "770", "660")]
    [InlineData("755", "755", "644")]
    public void New_entries_get_the_rights_of_the_folder_for_group_and_others(string shared, string below, string file)
    {
        if (OperatingSystem.IsWindows()) return;
        var (entry, payload) = (Directory.CreateDirectory(Path.Combine(folder, "ab"), Mode("700")), new FileInfo(Path.Combine(folder, "ab", "payload")));
        File.WriteAllText(payload.FullName, "");
        File.SetUnixFileMode(payload.FullName, Mode("600"));
        File.SetUnixFileMode(folder, Mode(shared));
        PrivateFiles.CopySharedAccess(folder, entry);
        PrivateFiles.CopySharedAccess(folder, payload);
        Assert.Equal((Mode(below), Mode(file)), (File.GetUnixFileMode(entry.FullName), File.GetUnixFileMode(payload.FullName)));
    }

    private static UnixFileMode Mode(string octal) => (UnixFileMode)Convert.ToInt32(octal, 8);
}
