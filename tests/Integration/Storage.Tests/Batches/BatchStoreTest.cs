using Sluice.Domain.Batches;
using Sluice.Storage.Batches;
using Sluice.Storage.Files;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Batches;

/// <summary>Tests the rules that keep each line of a batch in its output once.</summary>
public sealed class BatchStoreTest(RedisFixture redis) : IClassFixture<RedisFixture>, IAsyncLifetime
{
    private const string Id = "batch_1";
    private const string BlobName = "@0123456789abcdef0123456789abcdef";

    private readonly BatchStore store = new(redis.Store);

    public async ValueTask InitializeAsync()
    {
        await redis.Store.Database.ExecuteAsync("FLUSHALL");
        Assert.True(await CreateAsync(Id));
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task Only_the_run_with_the_lease_commits()
    {
        Assert.Equal(Id, (await store.ClaimAsync("one", default))!.Id);
        Assert.Null(await store.ClaimAsync("two", default));
        Assert.NotNull(await CommitAsync("one", [1], 0, 10));
        Assert.Null(await CommitAsync("two", [2], 0, 10));

        await store.ReleaseAsync(Id, "one", default);
        Assert.Equal(Id, (await store.ClaimAsync("two", default))!.Id);
        Assert.Null(await CommitAsync("one", [2], 10, 20));
        var look = await store.CommitAsync(Id, "two", BatchCommit.Renewal, default);
        Assert.Equal(BatchStatus.Validating, look!.Value.Status);
        var batch = (await store.FindAsync(Id, default))!;
        Assert.Equal((1, 0), (batch.Completed, batch.Failed));
    }

    [Fact]
    public async Task A_line_is_committed_once()
    {
        await store.ClaimAsync("one", default);
        Assert.NotNull(await CommitAsync("one", [7, 8], 0, 10));
        Assert.Null(await CommitAsync("one", [8, 9], 10, 20));

        var done = await store.DoneAsync(Id, default);
        Assert.Equal([7, 8], Enumerable.Range(1, 100).Where(n => BatchPlan.IsDone(done, n)));
        Assert.Equal(new Blob(BlobName, 10), Assert.Single((await store.PartsAsync(Id, default)).Output));
    }

    [Fact]
    public async Task A_commit_after_one_that_Redis_lost_is_refused()
    {
        await store.ClaimAsync("one", default);
        Assert.Null(await CommitAsync("one", [1], 10, 20));
        Assert.NotNull(await CommitAsync("one", [1], 0, 20));
    }

    [Fact]
    public async Task A_status_changes_only_from_the_expected_ones()
    {
        await store.ClaimAsync("one", default);
        Assert.Equal((true, BatchStatus.Cancelling),
            await store.MoveAsync(Id, "", BatchStatus.Cancellable, BatchStatus.Cancelling, default));
        Assert.Equal((false, BatchStatus.Cancelling),
            await store.MoveAsync(Id, "one", [BatchStatus.InProgress], BatchStatus.Finalizing, default));
        Assert.Equal((false, BatchStatus.Cancelling),
            await store.MoveAsync(Id, "two", [BatchStatus.Cancelling], BatchStatus.Cancelled, default));
        Assert.True(await store.IsUsedAsync("file-1", default));
        Assert.Equal((true, BatchStatus.Cancelled),
            await store.MoveAsync(Id, "one", [BatchStatus.Cancelling], BatchStatus.Cancelled, default));
        Assert.False(await store.IsUsedAsync("file-1", default));
        Assert.Null(await store.ClaimAsync("three", default));
        Assert.Null(await store.MoveAsync("batch_2", "", [BatchStatus.Cancelling], BatchStatus.Cancelled, default));
    }

    [Fact]
    public async Task An_owner_has_a_limited_number_of_open_batches()
    {
        for (var n = 1; n < BatchStore.MostOpen; n++) Assert.True(await CreateAsync($"batch_more{n}"));
        Assert.False(await CreateAsync("batch_last"));
        Assert.True(await CreateAsync(Id), "a repeated call changes nothing");
        await store.MoveAsync(Id, "", BatchStatus.Cancellable, BatchStatus.Cancelled, default);
        Assert.True(await CreateAsync("batch_last"));
    }

    private Task<bool> CreateAsync(string id) => store.CreateAsync(id,
        new StoredFile("file-1", "key", default, null, 1, "batch", "rows", BlobName), "{}", TimeSpan.FromHours(1),
        default);

    private Task<BatchLook?> CommitAsync(string token, int[] lines, long from, long to) => store.CommitAsync(Id, token,
        new BatchCommit(lines, lines.Length, new PartGrowth(new Blob(BlobName, to), from), null), default);
}
