using Sluice.Models.Uploads;

namespace Sluice.ControlPlane.Tests.Models;

/// <summary>Tests which incomplete uploads are deleted, and that nothing else is.</summary>
public sealed class IncompleteUploadTest : IDisposable
{
    private static readonly TimeSpan Keep = TimeSpan.FromHours(24);

    private readonly UploadStore store = new(new UploadSettings(
        Directory.CreateTempSubdirectory("sluice-uploads-").FullName, 1 << 20));

    public void Dispose() => Directory.Delete(store.Settings.Folder, recursive: true);

    [Theory]
    [InlineData(0, false)]
    [InlineData(23.99, false)]
    [InlineData(24, true)]
    [InlineData(-1, false)]
    public void An_upload_expires_when_it_received_nothing_for_its_time(double hours, bool expires)
    {
        var at = new DateTimeOffset(2026, 11, 30, 12, 0, 0, TimeSpan.Zero);
        Assert.Equal(expires, new IncompleteUpload("m", "1", 5, at).IsExpired(at.AddHours(hours), Keep));
    }

    [Fact]
    public async Task An_expired_upload_is_deleted_unless_a_request_writes_it_or_it_was_continued()
    {
        await ReceiveAsync("1", 0);
        var later = TimeProvider.System.GetUtcNow() + Keep + TimeSpan.FromMinutes(1);
        var listed = Assert.Single(store.ListIncomplete());
        Assert.Equal(("m", "1", 100L, true),
            (listed.Name, listed.Version, listed.Bytes, listed.IsExpired(later, Keep)));

        using (store.TryLock("m", "1")) Assert.Null(store.TryExpire("m", "1", later));
        Assert.Equal(100, store.Received("m", "1"));

        // It was listed as expired, and a request continued it before it was deleted.
        Age("1", later);
        Assert.Null(store.TryExpire("m", "1", later));
        Assert.Equal(100, store.Received("m", "1"));

        Assert.Equal(100, store.TryExpire("m", "1", later + Keep)!.Bytes);
        Assert.Null(store.Received("m", "1"));
        Assert.Null(store.TryExpire("m", "1", later + Keep));
        Assert.Empty(store.ListIncomplete());
    }

    [Fact]
    public async Task What_a_killed_gateway_left_of_a_check_expires_too()
    {
        await ReceiveAsync("1", 0);
        var upload = new ModelUpload(store, "m", "1", TimeProvider.System);
        await upload.UnpackAsync(null, default);
        Assert.Null(store.Received("m", "1"));
        var later = TimeProvider.System.GetUtcNow() + Keep + TimeSpan.FromMinutes(1);
        Assert.Equal(100, store.TryExpire("m", "1", later)!.Bytes);
        Assert.Null(store.Checking("m", "1"));
    }

    [Fact]
    public async Task A_version_is_not_deleted()
    {
        await ReceiveAsync("1", 0);
        var upload = new ModelUpload(store, "m", "1", TimeProvider.System);
        upload.Publish(await upload.UnpackAsync(null, default));
        Assert.Empty(store.ListIncomplete());
        Assert.Null(store.TryExpire("m", "1", TimeProvider.System.GetUtcNow() + 2 * Keep));
        Assert.NotNull(store.Find("m", "1"));
    }

    private async Task ReceiveAsync(string version, long from)
    {
        var upload = new ModelUpload(store, "m", version, TimeProvider.System);
        using var body = new MemoryStream(new byte[100]);
        Assert.Equal(UploadResult.Stored, await upload.WriteAsync(new UploadRange(from, 100, 200), body, default));
    }

    /// <summary>Sets the time at which the upload last received something.</summary>
    private void Age(string version, DateTimeOffset at) => File.SetLastWriteTimeUtc(
        Path.Combine(store.Settings.Folder, ".incoming", $"m~{version}", "body"), at.UtcDateTime);
}
