using System.Text;
using Sluice.Storage.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Jobs;

/// <summary>Large payloads in a shared folder that can become unavailable and available at any time.</summary>
public sealed class PayloadStoreTest : IClassFixture<RedisFixture>, IAsyncLifetime
{
    private static readonly byte[] Large = Encoding.UTF8.GetBytes(new string('x', PayloadStore.InlineBytes + 1));

    private readonly string root = Directory.CreateTempSubdirectory("sluice-payload-test-").FullName;
    private readonly ManualTime time = new();
    private readonly RedisFixture redis;
    private readonly PayloadStore payloads;
    private readonly PayloadSweep sweep;

    public PayloadStoreTest(RedisFixture redis)
    {
        this.redis = redis;
        payloads = new PayloadStore(redis.Store, Folder);
        sweep = new PayloadSweep(redis.Store, payloads.Share, time);
    }

    private string Folder => Path.Combine(root, "share");

    private string Away => Path.Combine(root, "away");

    public async ValueTask InitializeAsync()
    {
        await redis.Store.Database.ExecuteAsync("FLUSHALL");
        await payloads.Share.CheckAsync();
    }

    public ValueTask DisposeAsync()
    {
        Directory.Delete(root, recursive: true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task An_empty_marker_is_replaced_by_one_that_identifies_the_folder()
    {
        await redis.Store.Database.KeyDeleteAsync("sluice:payloads");
        var marker = Path.Combine(Folder, PayloadShare.Marker);
        await File.WriteAllTextAsync(marker, "");
        await new PayloadShare(redis.Store, Folder).CheckAsync();
        var id = (string?)await redis.Store.Database.StringGetAsync("sluice:payloads");
        Assert.Equal(16, id!.Length);
        Assert.Equal(id, (await File.ReadAllTextAsync(marker)).Trim());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_unavailable_share_gets_no_file_and_loses_none(bool emptyFolderInPlace)
    {
        var stored = (await payloads.SaveAsync(Large, default)).ToArray();
        Directory.Move(Folder, Away);
        if (emptyFolderInPlace) Directory.CreateDirectory(Folder);

        Assert.Equal(
            PayloadFault.Unavailable,
            (await Assert.ThrowsAsync<PayloadException>(() => payloads.LoadAsync(stored, default))).Fault);
        var refused = await Assert.ThrowsAsync<PayloadException>(() => payloads.SaveAsync(Large, default));
        Assert.Equal(PayloadFault.Unavailable, refused.Fault);
        Assert.DoesNotContain(root, refused.Message, StringComparison.Ordinal);
        Assert.False(payloads.Share.IsAvailable);
        Assert.Equal(emptyFolderInPlace, Directory.Exists(Folder));
        if (emptyFolderInPlace)
        {
            Assert.Empty(Directory.EnumerateFileSystemEntries(Folder));
            Directory.Delete(Folder);
        }

        Directory.Move(Away, Folder);
        Assert.Equal(Large, (await payloads.LoadAsync(stored, default)).ToArray());
        Assert.NotEqual(stored, (await payloads.SaveAsync(Large, default)).ToArray());
        Assert.True(payloads.Share.IsAvailable);
    }

    [Fact]
    public async Task A_file_that_is_missing_from_an_available_share_is_lost()
    {
        var stored = (await payloads.SaveAsync(Large, default)).ToArray();
        payloads.Delete(stored);
        var lost = await Assert.ThrowsAsync<PayloadException>(() => payloads.LoadAsync(stored, default));
        Assert.Equal(PayloadFault.Lost, lost.Fault);
        Assert.DoesNotContain(root, lost.Message, StringComparison.Ordinal);
        // Delete it again, and without the share: a file that cannot be deleted is not an error.
        payloads.Delete(stored);
        Directory.Move(Folder, Away);
        payloads.Delete(stored);
    }

    [Fact]
    public async Task A_folder_of_other_gateways_is_rejected_at_the_start_and_not_written_to()
    {
        var other = Path.Combine(root, "other");
        var e = await Assert.ThrowsAsync<InvalidOperationException>(
            () => new PayloadShare(redis.Store, other).CheckAsync());
        Assert.Contains(other, e.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(other));
    }

    [Fact]
    public async Task A_full_disk_is_reported_and_leaves_no_partial_file()
    {
        Require.Available(SmallDisk.WhyNot);
        using var disk = new SmallDisk("1m");
        await redis.Store.Database.ExecuteAsync("FLUSHALL");
        var small = new PayloadStore(redis.Store, disk.Folder);
        await small.Share.CheckAsync();
        disk.Fill();
        Assert.Equal(
            PayloadFault.Full,
            (await Assert.ThrowsAsync<PayloadException>(() => small.SaveAsync(Large, default))).Fault);
        disk.Free();
        await small.SaveAsync(Large, default);
        Assert.Equal(2, Directory.EnumerateFiles(disk.Folder, "*", SearchOption.AllDirectories).Count());
    }

    [Fact]
    public async Task A_file_without_a_job_is_deleted_by_the_second_sweep_an_hour_later_and_no_other_file()
    {
        var input = (await payloads.SaveAsync(Large, default)).ToArray();
        await new JobStore(redis.Store, payloads).SubmitAsync(
            JobStoreTest.Job("declared-no-more", "a") with { Input = input },
            default);
        var output = (await payloads.SaveAsync(Large, default)).ToArray();
        byte[] result = [.. "COMPLETED|1|1|0|pod\n1||\noutput\n"u8, .. output];
        await redis.Store.Database.HashSetAsync(new DispatchKeys("other").Results, "b", result);
        var orphan = (await payloads.SaveAsync(Large, default)).ToArray();
        var part = Path.Combine(Folder, "ab", new string('a', 24) + Encoding.ASCII.GetString(orphan)[^8..] + ".part");
        Directory.CreateDirectory(Path.GetDirectoryName(part)!);
        await File.WriteAllTextAsync(part, "half");
        var others = Path.Combine(Folder, "ab", new string('b', 32));
        await File.WriteAllTextAsync(others, "of another Redis, or of an earlier build");

        Assert.Equal(0, await sweep.RunAsync(default));
        time.Advance(PayloadSweep.OrphanAge - TimeSpan.FromSeconds(1));
        Assert.Equal(0, await sweep.RunAsync(default));
        var late = (await payloads.SaveAsync(Large, default)).ToArray();
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(2, await sweep.RunAsync(default));

        Assert.False(File.Exists(part));
        Assert.True(File.Exists(others));
        await Assert.ThrowsAsync<PayloadException>(() => payloads.LoadAsync(orphan, default));
        foreach (var kept in new[] { input, output, late })
            Assert.Equal(Large, (await payloads.LoadAsync(kept, default)).ToArray());
    }

    [Fact]
    public async Task A_file_that_is_referenced_between_two_sweeps_is_kept()
    {
        var input = (await payloads.SaveAsync(Large, default)).ToArray();
        Assert.Equal(0, await sweep.RunAsync(default));
        await new JobStore(redis.Store, payloads).SubmitAsync(
            JobStoreTest.Job("e", "a") with { Input = input },
            default);
        time.Advance(PayloadSweep.OrphanAge);
        Assert.Equal(0, await sweep.RunAsync(default));
        Assert.Equal(Large, (await payloads.LoadAsync(input, default)).ToArray());
    }

    [Fact]
    public async Task A_sweep_of_an_empty_folder_in_place_of_the_share_deletes_nothing_later()
    {
        var orphan = (await payloads.SaveAsync(Large, default)).ToArray();
        Assert.Equal(0, await sweep.RunAsync(default));
        Directory.Move(Folder, Away);
        Directory.CreateDirectory(Folder);
        await Assert.ThrowsAsync<PayloadException>(() => sweep.RunAsync(default));
        Directory.Delete(Folder);
        Directory.Move(Away, Folder);
        Assert.Equal(Large, (await payloads.LoadAsync(orphan, default)).ToArray());
    }
}
