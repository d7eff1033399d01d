using Sluice.Core.Workers;
using Sluice.Testing;

namespace Sluice.Core.Tests.Workers;

/// <summary>Orders on a real Redis: whose they are, and how many pods they may make.</summary>
public sealed class PodStoreTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    private readonly PodStore store = new(redis.Store);

    [Fact]
    public async Task No_order_makes_more_pods_than_the_maximum_whoever_gives_it()
    {
        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(n => store.StartAsync(Pod("many", $"p{n}"), 1, 3, default)));
        Assert.Equal(3, answers.Count(a => a == OrderAnswer.Taken));
        Assert.Equal(17, answers.Count(a => a == OrderAnswer.Full));
        // One that stops is there until it is gone; one that failed is not.
        var pods = await store.ListAsync("many", default);
        Assert.True(await store.PutAsync(pods[0] with { State = PodState.Stopping }, default));
        Assert.Equal(OrderAnswer.Full, await store.StartAsync(Pod("many", "next"), 1, 3, default));
        Assert.True(await store.PutAsync(pods[0] with { State = PodState.Failed }, default));
        Assert.Equal(OrderAnswer.Taken, await store.StartAsync(Pod("many", "next"), 1, 3, default));
    }

    [Fact]
    public async Task Another_declaration_may_have_as_many_while_it_replaces_the_first_and_a_third_one_waits()
    {
        for (var i = 0; i < 4; i++)
        {
            Assert.Equal(i < 2 ? OrderAnswer.Taken : OrderAnswer.Full, await store.StartAsync(Pod("rolling", $"a{i}", "first"), 1, 2, default));
            Assert.Equal(i < 2 ? OrderAnswer.Taken : OrderAnswer.Full, await store.StartAsync(Pod("rolling", $"b{i}", "second"), 1, 2, default));
        }

        Assert.Equal(OrderAnswer.Full, await store.StartAsync(Pod("rolling", "c", "third"), 1, 2, default));
    }

    [Fact]
    public async Task A_leader_whose_successor_has_looked_gives_no_orders()
    {
        Assert.False((await store.ReadAsync("led", 4, default)).Stale);
        Assert.Equal(OrderAnswer.Taken, await store.StartAsync(Pod("led", "a"), 4, 9, default));
        Assert.True(await store.SetDrainAsync("led", 4, ["a"], [], default));

        var look = await store.ReadAsync("led", 5, default);
        Assert.Equal((false, "a", "a"), (look.Stale, Assert.Single(look.Pods).Id, Assert.Single(look.Drain)));
        Assert.True((await store.ReadAsync("led", 4, default)).Stale);
        Assert.Equal(OrderAnswer.Stale, await store.StartAsync(Pod("led", "b"), 4, 9, default));
        Assert.False(await store.SetDrainAsync("led", 4, [], ["a"], default));
        Assert.True(await store.SetDrainAsync("led", 5, ["never heard of"], ["a"], default));
        // Others may look without leading.
        look = await store.ReadAsync("led", 0, default);
        Assert.Equal((false, 0), (look.Stale, look.Drain.Count));
    }

    [Fact]
    public async Task A_pod_that_was_buried_stays_so_unless_its_host_finds_room_for_it()
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
    public async Task A_leader_after_one_that_Redis_lost_has_another_epoch()
    {
        var db = redis.Store.Database;
        var (a, b) = (new Leadership(redis.Store, "a"), new Leadership(redis.Store, "b"));
        await a.RenewAsync(default);
        var lost = a.Epoch;
        await a.RenewAsync(default);
        Assert.Equal(lost, a.Epoch);
        foreach (var key in new[] { "sluice:{leader}:holder", "sluice:{leader}:epoch" }) await db.KeyDeleteAsync(key);
        // A rollback takes longer than the millisecond in which all this may happen.
        while (long.Parse(((string[])(await db.ExecuteAsync("TIME"))!)[1], System.Globalization.CultureInfo.InvariantCulture) / 1000 == lost % 1000) await Task.Yield();
        await b.RenewAsync(default);
        Assert.True(b.Epoch > lost);
        await b.ResignAsync();
        await a.RenewAsync(default);
        Assert.True(a.Epoch > lost + 1);
        await a.ResignAsync();
    }

    [Fact]
    public async Task A_process_is_known_by_more_than_its_number()
    {
        using var child = System.Diagnostics.Process.Start("sleep", "600")!;
        var mark = ProcessMark.Create(child.Id);
        Assert.True(ProcessMark.IsRunning(mark));
        Assert.False(ProcessMark.IsRunning(mark + "1"));
        Assert.Null(ProcessMark.IsRunning("another-boot/pid:[1]/1/1"));
        Assert.Null(ProcessMark.IsRunning(null));
        child.Kill();
        await child.WaitForExitAsync();
        Assert.False(ProcessMark.IsRunning(mark));
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
