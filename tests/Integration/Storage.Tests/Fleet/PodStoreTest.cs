using Sluice.Domain.Fleet;
using Sluice.Hosting.Processes;
using Sluice.Storage.Fleet;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Fleet;

/// <summary>Orders on a real Redis: which leader may issue them, and how many pods they may create.</summary>
public sealed class PodStoreTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    private readonly PodStore store = new(redis.Store);

    [Fact]
    public async Task Orders_never_create_more_pods_than_the_maximum()
    {
        var starts = Enumerable.Range(0, 20).Select(n => store.StartAsync(Pod("many", $"p{n}"), 1, 3, default));
        var answers = await Task.WhenAll(starts);
        Assert.Equal(3, answers.Count(a => a == StartDecision.Taken));
        Assert.Equal(17, answers.Count(a => a == StartDecision.Full));
        // A stopping pod counts until it has exited; a failed one does not count.
        var pods = await store.ListAsync("many", default);
        Assert.True(await store.PutAsync(pods[0] with { State = PodState.Stopping }, default));
        Assert.Equal(StartDecision.Full, await store.StartAsync(Pod("many", "next"), 1, 3, default));
        Assert.True(await store.PutAsync(pods[0] with { State = PodState.Failed }, default));
        Assert.Equal(StartDecision.Taken, await store.StartAsync(Pod("many", "next"), 1, 3, default));
    }

    [Fact]
    public async Task A_changed_declaration_may_have_max_pods_beside_the_old_ones_and_a_third_one_waits()
    {
        for (var i = 0; i < 4; i++)
        {
            var expected = i < 2 ? StartDecision.Taken : StartDecision.Full;
            Assert.Equal(expected, await store.StartAsync(Pod("rolling", $"a{i}", "first"), 1, 2, default));
            Assert.Equal(expected, await store.StartAsync(Pod("rolling", $"b{i}", "second"), 1, 2, default));
        }

        Assert.Equal(StartDecision.Full, await store.StartAsync(Pod("rolling", "c", "third"), 1, 2, default));
    }

    [Fact]
    public async Task Orders_of_a_leader_are_rejected_after_its_successor_has_read_the_pods()
    {
        Assert.False((await store.ReadAsync("led", 4, default)).Stale);
        Assert.Equal(StartDecision.Taken, await store.StartAsync(Pod("led", "a"), 4, 9, default));
        Assert.True(await store.SetDrainAsync("led", 4, ["a"], [], default));

        var look = await store.ReadAsync("led", 5, default);
        Assert.Equal((false, "a", "a"), (look.Stale, Assert.Single(look.Pods).Id, Assert.Single(look.Drain)));
        Assert.True((await store.ReadAsync("led", 4, default)).Stale);
        Assert.Equal(StartDecision.Stale, await store.StartAsync(Pod("led", "b"), 4, 9, default));
        Assert.False(await store.SetDrainAsync("led", 4, [], ["a"], default));
        Assert.True(await store.SetDrainAsync("led", 5, ["never heard of"], ["a"], default));
        // Gateways that do not lead may read too.
        look = await store.ReadAsync("led", 0, default);
        Assert.Equal((false, 0), (look.Stale, look.Drain.Count));
    }

    [Fact]
    public async Task A_removed_pod_is_restored_only_if_the_endpoint_has_room_for_it()
    {
        var pod = Pod("buried", "a");
        await store.StartAsync(pod, 1, 1, default);
        await store.RemoveAsync("buried", "a", default);
        Assert.False(await store.PutAsync(pod with { State = PodState.Ready }, default));
        Assert.Empty(await store.ListAsync("buried", default));
        await store.StartAsync(Pod("buried", "b"), 1, 1, default);
        Assert.False(await store.AdoptAsync(pod, 1, default));
        await store.RemoveAsync("buried", "b", default);
        Assert.True(await store.AdoptAsync(pod, 1, default));
        Assert.True(await store.AdoptAsync(pod, 1, default));
        Assert.Equal("a", Assert.Single(await store.ListAsync("buried", default)).Id);
    }

    [Fact]
    public async Task A_leader_has_a_new_epoch_after_Redis_lost_the_last_one()
    {
        var db = redis.Store.Database;
        var (a, b) = (new LeaderElection(redis.Store, "a"), new LeaderElection(redis.Store, "b"));
        await a.RenewAsync(default);
        var lost = a.Epoch;
        await a.RenewAsync(default);
        Assert.Equal(lost, a.Epoch);
        foreach (var key in new[] { "sluice:{leader}:holder", "sluice:{leader}:epoch" }) await db.KeyDeleteAsync(key);
        // A real rollback takes longer than one millisecond; this test may not.
        while (await MicrosecondAsync(db) / 1000 == lost % 1000) await Task.Yield();
        await b.RenewAsync(default);
        Assert.True(b.Epoch > lost);
        await b.ResignAsync();
        await a.RenewAsync(default);
        Assert.True(a.Epoch > lost + 1);
        await a.ResignAsync();
    }

    [Fact]
    public async Task A_process_is_identified_by_more_than_its_id()
    {
        using var child = System.Diagnostics.Process.Start("sleep", "600")!;
        var mark = ProcessIdentity.Create(child.Id);
        Assert.True(ProcessIdentity.IsRunning(mark));
        Assert.False(ProcessIdentity.IsRunning(mark + "1"));
        Assert.Null(ProcessIdentity.IsRunning("another-boot/pid:[1]/1/1"));
        Assert.Null(ProcessIdentity.IsRunning(null));
        child.Kill();
        await child.WaitForExitAsync();
        Assert.False(ProcessIdentity.IsRunning(mark));
    }

    private static async Task<long> MicrosecondAsync(StackExchange.Redis.IDatabase db)
    {
        var time = (string[])(await db.ExecuteAsync("TIME"))!;
        return long.Parse(time[1], System.Globalization.CultureInfo.InvariantCulture);
    }

    private static Pod Pod(string endpoint, string id, string fingerprint = "f") => new()
    {
        Id = id,
        EndpointId = endpoint,
        Template = "t",
        HostId = "h",
        State = PodState.Starting,
        Fingerprint = fingerprint,
        StartedAt = TimeProvider.System.GetUtcNow(),
    };
}
