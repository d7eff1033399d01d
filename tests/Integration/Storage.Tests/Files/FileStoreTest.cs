using System.Text;
using Sluice.Storage.Batches;
using Sluice.Storage.Files;
using Sluice.Storage.Jobs;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Files;

/// <summary>Tests the records of files, their limits and expiry, and that the sweep keeps their bytes.</summary>
public sealed class FileStoreTest : IClassFixture<RedisFixture>, IAsyncLifetime
{
    private static readonly FileLimits Limits = new(3, 100);

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-file-test-").FullName;
    private readonly RedisFixture redis;
    private readonly PayloadShare share;
    private readonly BlobStore blobs;
    private readonly FileStore store;

    public FileStoreTest(RedisFixture redis)
    {
        this.redis = redis;
        share = new PayloadShare(redis.Store, folder);
        blobs = new BlobStore(share);
        store = new FileStore(redis.Store, blobs);
    }

    public async ValueTask InitializeAsync()
    {
        await redis.Store.Database.ExecuteAsync("FLUSHALL");
        await share.CheckAsync();
    }

    public ValueTask DisposeAsync()
    {
        Directory.Delete(folder, recursive: true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task A_file_belongs_to_its_owner_until_it_is_deleted()
    {
        var put = await PutAsync("file-1", "a|b\nc.jsonl", "hello");
        Assert.Equal(("a|b c.jsonl", 5L, true), (put.File!.Name, put.File.Bytes, put.IsNew));
        Assert.Equal(put.File, await store.FindAsync("file-1", "key", default));
        Assert.Null(await store.FindAsync("file-1", "other", default));
        Assert.False(await store.DeleteAsync("file-1", "other", default));
        Assert.False((await PutAsync("file-1", "again", "x")).IsNew);
        Assert.Equal("file-1", Assert.Single(await store.ListAsync("key", default)).Id);
        await using (var content = await blobs.OpenAsync(put.File.Blob))
        {
            using var reader = new StreamReader(content);
            Assert.Equal("hello", await reader.ReadToEndAsync());
        }

        Assert.True(await store.DeleteAsync("file-1", "key", default));
        Assert.Empty(await store.ListAsync("key", default));
        var gone = await Assert.ThrowsAsync<PayloadException>(() => blobs.OpenAsync(put.File.Blob));
        Assert.Equal(PayloadFault.Lost, gone.Fault);
    }

    [Fact]
    public async Task The_files_of_a_key_are_limited_by_number_and_bytes()
    {
        await PutAsync("file-1", "a", new string('x', 60));
        Assert.Equal(("bytes", 60L), await RefusedAsync("file-2", new string('x', 41)));
        await PutAsync("file-2", "a", "x");
        await PutAsync("file-3", "a", "x");
        Assert.Equal(("files", 3L), await RefusedAsync("file-4", "x"));
        await store.DeleteAsync("file-1", "key", default);
        Assert.NotNull((await PutAsync("file-4", "a", new string('x', 98))).File);

        async Task<(string?, long)> RefusedAsync(string id, string text)
        {
            var put = await PutAsync(id, "a", text);
            Assert.Null(put.File);
            return (put.Limit, put.Held);
        }
    }

    [Fact]
    public async Task An_expired_file_is_deleted()
    {
        var old = await PutAsync("file-1", "a", "x", TimeSpan.FromMilliseconds(1));
        await PutAsync("file-2", "a", "x", TimeSpan.FromHours(1));
        await PutAsync("file-3", "a", "x", TimeSpan.Zero);
        await Eventually.HoldsAsync(async () => await store.DeleteExpiredAsync(default) == 1);
        Assert.Equal(0, await store.DeleteExpiredAsync(default));
        Assert.Equal(["file-3", "file-2"], (await store.ListAsync("key", default)).Select(f => f.Id));
        await Assert.ThrowsAsync<PayloadException>(() => blobs.OpenAsync(old.File!.Blob));
    }

    [Fact]
    public async Task The_sweep_deletes_only_bytes_without_a_reference()
    {
        var kept = await PutAsync("file-1", "a", "x");
        await using var part = await blobs.CreateAsync();
        await using var orphan = await blobs.CreateAsync();
        var batches = new BatchStore(redis.Store);
        await batches.CreateAsync("batch_1", kept.File!, "{}", TimeSpan.FromHours(1), default);
        await batches.ClaimAsync("run", default);
        await batches.CommitAsync("batch_1", "run",
            new BatchCommit([1], 1, new PartGrowth(new Blob(part.Reference, 1), 0), null), default);
        // A client cannot delete the input of an open batch, but a lost record must not lose the input.
        await redis.Store.Database.KeyDeleteAsync(FileStore.Records);
        var time = new ManualTime();
        var sweep = new PayloadSweep(redis.Store, share, time);
        Assert.Equal(0, await sweep.RunAsync(default));
        time.Advance(PayloadSweep.OrphanAge);
        Assert.Equal(1, await sweep.RunAsync(default));
        foreach (var reference in new[] { kept.File!.Blob, part.Reference })
            await (await blobs.OpenAsync(reference)).DisposeAsync();
        await Assert.ThrowsAsync<PayloadException>(() => blobs.OpenAsync(orphan.Reference));
    }

    private async Task<FilePut> PutAsync(string id, string name, string text, TimeSpan keep = default)
    {
        await using var writer = await blobs.CreateAsync();
        await writer.WriteAsync(Encoding.UTF8.GetBytes(text), default);
        await writer.FlushAsync();
        return await store.PutAsync(id, "key", "batch", name, writer.Blob, keep, Limits, default);
    }
}
