using Sluice.Domain.Fleet;
using Sluice.Storage.Fleet;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Fleet;

/// <summary>Orders of pods on the hosts of other gateways, on a real Redis: each has one end.</summary>
public sealed class NodeOrderTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(1);

    private readonly PodStore store = new(redis.Store);
    private readonly NodeStore nodes = new(redis.Store);

    [Fact]
    public async Task An_order_counts_as_a_pod_and_is_taken_once_by_its_host()
    {
        var order = Order("taken", "p");
        Assert.Equal(StartDecision.Taken, await store.StartAsync(order, 4, 1, Long, default));
        Assert.Equal(StartDecision.Full, await store.StartAsync(Order("taken", "q"), 4, 1, Long, default));
        Assert.True(Assert.Single(await store.ListAsync("taken", default)).IsOrdered);
        Assert.False(await store.TakeOrderAsync(order with { HostId = "another", OrderedIn = 0 }, default));
        Assert.False(await store.WithdrawOrderAsync("taken", "p", 4, early: false, default));

        Assert.True(await store.TakeOrderAsync(order with { OrderedIn = 0 }, default));
        Assert.False(await store.TakeOrderAsync(order with { OrderedIn = 0 }, default));
        Assert.False(await store.WithdrawOrderAsync("taken", "p", 4, early: true, default));
        Assert.False(Assert.Single(await store.ListAsync("taken", default)).IsOrdered);
    }

    [Fact]
    public async Task An_ended_order_is_withdrawn_and_not_taken()
    {
        var order = Order("ended", "p");
        await store.StartAsync(order, 4, 1, TimeSpan.FromMilliseconds(1), default);
        Assert.True(await Eventually.BecomesAsync(
            () => store.WithdrawOrderAsync("ended", "p", 4, early: false, default), done => done, "the order ends"));
        Assert.False(await store.TakeOrderAsync(order with { OrderedIn = 0 }, default));
        Assert.Empty(await store.ListAsync("ended", default));
        Assert.Equal(StartDecision.Taken, await store.StartAsync(Order("ended", "q"), 4, 1, Long, default));
    }

    [Fact]
    public async Task A_later_leader_sees_the_order_and_only_it_may_withdraw_it()
    {
        var order = Order("led", "p");
        await store.StartAsync(order, 4, 1, Long, default);
        Assert.True(Assert.Single((await store.ReadAsync("led", 5, default)).Pods).IsOrdered);
        Assert.Equal(StartDecision.Stale, await store.StartAsync(Order("led", "q"), 4, 9, Long, default));
        Assert.False(await store.WithdrawOrderAsync("led", "p", 4, early: true, default));
        Assert.True(await store.TakeOrderAsync(order with { OrderedIn = 0 }, default));
        Assert.Equal("p", Assert.Single((await store.ReadAsync("led", 5, default)).Pods).Id);
    }

    [Fact]
    public async Task Of_taking_and_withdrawing_at_the_same_time_one_succeeds()
    {
        for (var i = 0; i < 50; i++)
        {
            var order = Order("race", $"p{i}");
            await store.StartAsync(order, 1, 1, Long, default);
            var take = store.TakeOrderAsync(order with { OrderedIn = 0 }, default);
            var withdraw = store.WithdrawOrderAsync("race", order.Id, 1, early: true, default);
            Assert.NotEqual(await take, await withdraw);
            Assert.Equal(await take ? 1 : 0, (await store.ListAsync("race", default)).Count);
            await store.RemoveAsync("race", order.Id, default);
        }
    }

    [Fact]
    public async Task A_node_is_announced_as_long_as_its_gateway_has_a_lease()
    {
        await store.RenewHostAsync("b", Long, default);
        Assert.False(await nodes.AnnounceAsync("b", null, 1, default));
        Assert.True(await nodes.AnnounceAsync("b", "{}", 1, default));
        Assert.True(await nodes.AnnounceAsync("b", null, 2, default));
        Assert.Equal([("{}", 2)], await nodes.ListAsync(default));

        await store.RenewHostAsync("b", TimeSpan.Zero, default);
        Assert.Empty(await nodes.ListAsync(default));
        // The next announcement of any gateway removes it.
        await store.RenewHostAsync("c", Long, default);
        Assert.True(await nodes.AnnounceAsync("c", "{}", 0, default));
        await store.RenewHostAsync("b", Long, default);
        Assert.False(await nodes.AnnounceAsync("b", null, 0, default));
        await nodes.WithdrawAsync("c", default);
        Assert.Empty(await nodes.ListAsync(default));
    }

    [Fact]
    public async Task A_host_reads_its_own_orders_until_it_removes_them()
    {
        await nodes.AddOrderAsync("b", "e", "e-1", default);
        await nodes.AddOrderAsync("b", "e", "e-2", default);
        Assert.Equal(["e-1", "e-2"], (await nodes.OrdersAsync("b", default)).Select(o => o.PodId).Order());
        await nodes.RemoveOrderAsync("b", "e", "e-1", default);
        Assert.Equal([("e", "e-2")], await nodes.OrdersAsync("b", default));
        Assert.Empty(await nodes.OrdersAsync("c", default));
    }

    private static Pod Order(string endpoint, string id) => new()
    {
        Id = id,
        EndpointId = endpoint,
        Template = "t",
        HostId = "host",
        State = PodState.Starting,
        Fingerprint = "f",
        StartedAt = DateTimeOffset.UnixEpoch,
        OrderedIn = 4,
    };
}
