using Sluice.Domain.UserPods;
using Sluice.Storage.UserPods;
using Sluice.Testing;

namespace Sluice.Storage.Tests.UserPods;

/// <summary>Tests the records of pods, the control of their node, and one-time tickets; on a real Redis.</summary>
public sealed class UserPodStoreTest(RedisFixture redis) : IClassFixture<RedisFixture>, IAsyncLifetime
{
    private const string Node = "node-1";

    private static readonly DateTimeOffset Now = new(2026, 6, 1, 12, 0, 0, TimeSpan.Zero);

    private readonly UserPodStore store = new(redis.Store, "mine");
    private readonly UserPodStore other = new(redis.Store, "other");

    public async ValueTask InitializeAsync() => await redis.Store.Database.ExecuteAsync("FLUSHALL");

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task A_pod_is_created_once_and_read_with_its_revision()
    {
        Assert.Equal(UserPodChange.Stored, await store.CreateAsync(Pod("a"), default));
        Assert.Equal(UserPodChange.Conflict, await store.CreateAsync(Pod("a"), default));
        Assert.Equal(UserPodChange.Stored, await store.CreateAsync(Pod("b") with { CreatedAt = Now.AddHours(-1) },
            default));
        var pods = (await store.ReadAsync(null, default))!.Value.Pods;
        Assert.Equal(["b", "a"], pods.Select(p => p.Pod.Id));
        Assert.Equal("notebook", pods[1].Pod.Spec.Name);
        Assert.NotEmpty(pods[1].Pod.Revision);
        Assert.NotEqual(pods[0].Pod.Revision, pods[1].Pod.Revision);
        Assert.Equal((null, UserPodStatus.Provisioning), (pods[1].Node, pods[1].State.Status));
    }

    [Fact]
    public async Task A_change_is_refused_if_another_one_was_first()
    {
        var read = await CreateAsync("a");
        Assert.Equal(UserPodChange.Stored, await store.ChangeAsync(read with { Restarts = 1 }, default));
        Assert.Equal(UserPodChange.Conflict, await other.ChangeAsync(read with { Restarts = 7 }, default));
        Assert.Equal(UserPodChange.Missing, await store.ChangeAsync(read with { Id = "b" }, default));
        Assert.Equal(UserPodChange.Conflict,
            await store.ChangeGoalAsync("a", read.Revision, UserPodGoal.Stopped, "idle", default));
        var now = await FindAsync("a");
        Assert.Equal((1, UserPodGoal.Running), (now!.Pod.Restarts, now.Pod.Goal));
        Assert.Equal(UserPodChange.Stored,
            await store.ChangeGoalAsync("a", now.Pod.Revision, UserPodGoal.Stopped, "idle", default));
        Assert.Equal(UserPodChange.Missing, await store.ChangeGoalAsync("b", "r", UserPodGoal.Stopped, "", default));
        now = await FindAsync("a");
        Assert.Equal((UserPodGoal.Stopped, "idle", 1), (now!.Pod.Goal, now.Pod.Cause, now.Pod.Restarts));
    }

    [Fact]
    public async Task One_gateway_controls_a_node_until_it_gives_it_up()
    {
        Assert.False(await store.IsControlledAsync(Node, default));
        Assert.True(await store.RenewAsync(Node, default));
        Assert.True(await store.RenewAsync(Node, default));
        Assert.False(await other.RenewAsync(Node, default));
        Assert.True(await other.RenewAsync("node-2", default));
        await other.ReleaseAsync(Node);
        Assert.True(await store.IsControlledAsync(Node, default));
        Assert.InRange((await redis.Store.Database.KeyTimeToLiveAsync("sluice:{userpods}:lease:" + Node))!.Value,
            TimeSpan.Zero, UserPodStore.Lease);
        await store.ReleaseAsync(Node);
        Assert.True(await other.RenewAsync(Node, default));
    }

    [Fact]
    public async Task Only_the_controller_of_the_node_stores_what_it_observed()
    {
        var pod = await CreateAsync("a");
        var state = new UserPodState { Status = UserPodStatus.Running, Devices = ["GPU-1"] };
        var note = new UserPodEvent(Now, "RUNNING");
        Assert.False(await store.ObserveAsync(Node, "a", state, note, default));
        Assert.True(await store.RenewAsync(Node, default));
        Assert.True(await store.ObserveAsync(Node, "a", state, note, default));
        Assert.False(await other.ObserveAsync(Node, "a", new UserPodState(), new UserPodEvent(Now, "lost"), default));
        Assert.False(await store.ObserveAsync(Node, "b", state, note, default));
        var read = await FindAsync("a");
        Assert.True(read!.State.IsSame(state));
        Assert.Equal(pod.Revision, read.Pod.Revision);
        Assert.Equal([note], await store.ReadEventsAsync("a", default));
        Assert.Empty(await store.ReadEventsAsync("b", default));
    }

    [Fact]
    public async Task The_latest_events_are_kept_in_their_order()
    {
        await CreateAsync("a");
        await store.RenewAsync(Node, default);
        for (var i = 0; i < 203; i++)
            Assert.True(await store.ObserveAsync(Node, "a", null, new UserPodEvent(Now.AddSeconds(i), $"e{i}"),
                default));
        var events = await store.ReadEventsAsync("a", default);
        Assert.Equal((200, "e3", "e202"), (events.Count, events[0].Text, events[^1].Text));
    }

    [Fact]
    public async Task A_pod_stays_on_the_node_that_was_first()
    {
        await CreateAsync("a");
        Assert.Null(await store.AssignAsync(Node, "a", default));
        await store.RenewAsync(Node, default);
        await other.RenewAsync("node-2", default);
        Assert.Equal(Node, await store.AssignAsync(Node, "a", default));
        Assert.Equal(Node, await other.AssignAsync("node-2", "a", default));
        Assert.Null(await store.AssignAsync(Node, "b", default));
        Assert.Equal(Node, (await FindAsync("a"))!.Node);
    }

    [Fact]
    public async Task Only_the_revision_that_was_terminated_is_forgotten_with_all_its_records()
    {
        var pod = await CreateAsync("a");
        await store.RenewAsync(Node, default);
        await store.AssignAsync(Node, "a", default);
        await store.ObserveAsync(Node, "a", new UserPodState(), new UserPodEvent(Now, "e"), default);
        await store.RecordActivityAsync([("a", Now)], default);
        await other.ForgetAsync(Node, pod, default);
        await store.ForgetAsync(Node, pod with { Revision = "r" }, default);
        Assert.NotNull(await FindAsync("a"));
        await store.ForgetAsync(Node, pod, default);
        Assert.Null(await FindAsync("a"));
        Assert.Empty(await store.ReadEventsAsync("a", default));
        Assert.Empty(await store.ReadActivityAsync(default));
        // A pod with the same id would not get the node, the state or the events of the first one.
        await CreateAsync("a");
        Assert.Equal((null, UserPodStatus.Provisioning, ""),
            ((await FindAsync("a"))!.Node, (await FindAsync("a"))!.State.Status, (await FindAsync("a"))!.State.Reason));
    }

    [Fact]
    public async Task Pods_are_read_again_only_after_a_change()
    {
        var (first, none) = (await store.ReadAsync(null, default))!.Value;
        Assert.Empty(none);
        Assert.Null(await store.ReadAsync(first, default));
        await CreateAsync("a");
        await store.RenewAsync(Node, default);
        var version = (await store.ReadAsync(first, default))!.Value.Version;
        Assert.Null(await store.ReadAsync(version, default));
        await store.AssignAsync(Node, "a", default);
        version = await NextAsync(version);
        await store.ObserveAsync(Node, "a", new UserPodState { Reason = "r" }, null, default);
        version = await NextAsync(version);
        await store.ChangeAsync((await FindAsync("a"))!.Pod, default);
        version = await NextAsync(version);
        await store.ForgetAsync(Node, (await FindAsync("a"))!.Pod, default);
        await NextAsync(version);

        async Task<string> NextAsync(string known) => (await other.ReadAsync(known, default))!.Value.Version;
    }

    [Fact]
    public async Task Activity_never_goes_back()
    {
        await CreateAsync("a");
        await store.RecordActivityAsync([("a", Now), ("gone", Now)], default);
        await other.RecordActivityAsync([("a", Now.AddSeconds(-5))], default);
        Assert.Equal([KeyValuePair.Create("a", Now)], await store.ReadActivityAsync(default));
        await other.RecordActivityAsync([("a", Now.AddSeconds(5))], default);
        Assert.Equal(Now.AddSeconds(5), (await store.ReadActivityAsync(default))["a"]);
    }

    [Fact]
    public async Task The_secret_and_the_installation_are_the_same_for_all_gateways()
    {
        var secrets = await Task.WhenAll(Enumerable.Range(0, 10)
            .Select(n => (n % 2 == 0 ? store : other).ReadSecretAsync(default)));
        Assert.Equal(32, secrets[0].Length);
        Assert.All(secrets, s => Assert.Equal(secrets[0], s));
        var installation = await store.ReadInstallationAsync(default);
        Assert.Matches("^[0-9a-f]{16}$", installation);
        Assert.Equal(installation, await other.ReadInstallationAsync(default));
        await redis.Store.Database.ExecuteAsync("FLUSHALL");
        Assert.NotEqual(installation, await store.ReadInstallationAsync(default));
    }

    private async Task<UserPod> CreateAsync(string id)
    {
        Assert.Equal(UserPodChange.Stored, await store.CreateAsync(Pod(id), default));
        return (await FindAsync(id))!.Pod;
    }

    private async Task<UserPodEntry?> FindAsync(string id) =>
        (await store.ReadAsync(null, default))!.Value.Pods.FirstOrDefault(p => p.Pod.Id == id);

    private static UserPod Pod(string id) => new()
    {
        Id = id,
        Spec = new UserPodSpec { Name = "notebook", Image = "notebook:1" },
        Owner = "key",
        CreatedAt = Now,
    };
}
