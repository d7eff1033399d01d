using System.Net;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Uploads of models whose clients gave up are deleted; on a real gateway and a real folder.</summary>
public sealed class IncompleteUploadTest : IDisposable
{
    private readonly ModelUploader uploader = new();

    public void Dispose() => uploader.Dispose();

    [Fact]
    public async Task An_upload_that_received_nothing_for_the_time_of_the_setting_is_deleted()
    {
        await using var gateway = await InProcessGateway.StartAsync("templates: []\nendpoints: []",
            new Dictionary<string, string?>
            {
                ["SLUICE_MODEL_UPLOADS"] = uploader.Folder,
                ["SLUICE_MODEL_UPLOAD_KEEP_HOURS"] = "2",
            });
        foreach (var version in new[] { "old", "new" })
            Assert.Equal(HttpStatusCode.Accepted,
                (await ModelUploader.PutAsync(gateway, $"m/{version}", new byte[100], (0, 99, 1000))).Status);
        await gateway.StopAsync();
        // A folder in place of its lock: these cannot be deleted.
        foreach (var version in Enumerable.Range(1, 8).Select(n => $"bad{n}"))
        {
            Directory.CreateDirectory(FolderOf(version + ".lock"));
            Directory.CreateDirectory(FolderOf(version));
            await File.WriteAllBytesAsync(Path.Combine(FolderOf(version), "body"), []);
            Age(version, TimeSpan.FromHours(3));
        }

        Age("old", TimeSpan.FromHours(2));
        Age("new", TimeSpan.FromHours(1));

        await gateway.RestartAsync();
        var deleted = await gateway.Log.EventAsync("IncompleteUploadDeleted");
        Assert.Equal(("m", "old", "100"), (deleted["Name"], deleted["Version"], deleted["Bytes"]));
        Assert.Equal(HttpStatusCode.NotFound,
            (await ModelUploader.SendAsync(gateway, HttpMethod.Get, "m/old")).Status);
        var next = await ModelUploader.PutAsync(gateway, "m/new", new byte[100], (100, 199, 1000));
        Assert.Equal((HttpStatusCode.Accepted, "bytes=0-199"), (next.Status, next.Range));
        Assert.DoesNotContain(gateway.Log.Entries, e => e.Is("IncompleteUploadDeleted", ("Version", "new")));
    }

    private string FolderOf(string version) => Path.Combine(uploader.Folder, ".incoming", $"m~{version}");

    /// <summary>Makes an upload older.</summary>
    private void Age(string version, TimeSpan age)
    {
        var folder = FolderOf(version);
        var at = (TimeProvider.System.GetUtcNow() - age).UtcDateTime;
        File.SetLastWriteTimeUtc(Path.Combine(folder, "body"), at);
        Directory.SetLastWriteTimeUtc(folder, at);
    }
}
