using Microsoft.Extensions.DependencyInjection;
using Sluice.ControlPlane.Pods;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Hosting;
using Sluice.Storage.Fleet;
using Sluice.Storage.Queueing;
using Sluice.Testing;

namespace Sluice.Storage.Tests.ControlPlane;

/// <summary>Pods of a host that several gateways share, and pods that their host ends; on a real Redis.</summary>
public sealed class SharedHostTest : IClassFixture<RedisFixture>, IDisposable
{
    private readonly ScriptedHost host = new() { IsShared = true };
    private readonly PodStore store;
    private readonly WorkerSlotStore slots;
    private readonly ServiceProvider services;
    private readonly ManagedPods pods;

    public SharedHostTest(RedisFixture redis)
    {
        store = new PodStore(redis.Store);
        slots = new WorkerSlotStore(redis.Store);
        services = TestControlPlane.Build(redis.Store, redis.Store, host, TimeProvider.System);
        pods = services.GetRequiredService<ManagedPods>();
    }

    private PodAdoption Adoption => services.GetRequiredService<PodAdoption>();

    public void Dispose()
    {
        services.Dispose();
        host.Dispose();
    }

    [Fact]
    public async Task A_pod_of_a_lost_gateway_is_taken_over_and_has_one_owner()
    {
        var record = Record("taken", "lost");
        Assert.True(await store.AdoptAsync(record, 1, default));
        var running = new ScriptedPod(Order("taken"));
        await Adoption.AdoptAsync([running], default);

        var taken = Assert.Single(await store.ListAsync("taken", default));
        Assert.Equal(("here", PodState.Ready), (taken.HostId, taken.State));
        Assert.True(pods.Contains(taken.Id));
        // The gateway that appeared to be lost, and another leader, cannot write the record.
        Assert.False(await store.PutAsync(record with { State = PodState.Draining }, default));
        Assert.False(await store.TakeAsync(record with { HostId = "third" }, "lost", default));
        Assert.Equal("here", Assert.Single(await store.ListAsync("taken", default)).HostId);
    }

    [Fact]
    public async Task Only_the_leader_adopts_the_pods_of_a_lost_gateway()
    {
        Assert.True(await store.AdoptAsync(Record("raced", "lost"), 1, default));
        var finder = services.GetRequiredService<UnmanagedPodFinder>();
        await finder.FindAsync(default);
        Assert.True(host.IsManaged!(new FoundPod("raced-1", "lost")));
        Assert.False(host.IsManaged!(new FoundPod("other-1", "here")));
        await services.GetRequiredService<LeaderElection>().RenewAsync(default);
        await finder.FindAsync(default);
        Assert.False(host.IsManaged!(new FoundPod("raced-1", "lost")));

        await store.RenewHostAsync("lost", TimeSpan.FromMinutes(1), default);
        await finder.FindAsync(default);
        Assert.True(host.IsManaged!(new FoundPod("raced-1", "lost")));
        await store.RenewHostAsync("lost", TimeSpan.Zero, default);
    }

    [Fact]
    public async Task A_gateway_releases_a_pod_that_another_one_took_over()
    {
        var record = Record("released", "here");
        Assert.True(await store.AdoptAsync(record, 1, default));
        var running = new ScriptedPod(Order("released"));
        await Adoption.AdoptAsync([running], default);
        var managed = Assert.Single(pods.All, p => p.EndpointId == "released");
        Assert.True(await store.TakeAsync(record with { HostId = "leader" }, "here", default));

        await ReconcileAsync("released");
        await managed.Life.WaitAsync(ChildProcess.Patience, TimeProvider.System);
        Assert.False(pods.Contains(record.Id));
        Assert.False(running.Exited.IsCompleted);
        Assert.Equal("leader", Assert.Single(await store.ListAsync("released", default)).HostId);
    }

    [Fact]
    public async Task A_pod_that_its_host_ends_gets_no_more_requests_and_has_not_failed()
    {
        var record = Record("leaving", "here");
        Assert.True(await store.AdoptAsync(record, 1, default));
        var running = new ScriptedPod(Order("leaving"));
        await slots.UpAsync("leaving", running.Address, default);
        var ended = new TaskCompletionSource<PodEnd>(TaskCreationOptions.RunContinuationsAsynchronously);
        services.GetRequiredService<PodTermination>().Ended += ended.SetResult;
        await Adoption.AdoptAsync([running], default);
        running.Leave("its node is drained");
        await Eventually.HoldsAsync(async () => await store.ListAsync("leaving", default) is
            [{ State: PodState.Stopping, Reason: "its node is drained" }]);
        Assert.True(Assert.Single((await slots.SnapshotAsync("leaving", default)).Workers).Draining);

        running.End("exit code 0");
        Assert.False((await ended.Task.WaitAsync(ChildProcess.Patience, TimeProvider.System)).Failed);
        Assert.Empty(await store.ListAsync("leaving", default));
        Assert.Empty((await slots.SnapshotAsync("leaving", default)).Workers);
    }

    private async Task ReconcileAsync(string endpoint)
    {
        var snapshot = await slots.SnapshotAsync(endpoint, default);
        var look = await store.ReadAsync(endpoint, 0, default);
        await services.GetRequiredService<PodReconciliation>().ReconcileAsync(endpoint, 1, snapshot, look, default);
    }

    private static PodSpec Order(string endpoint)
    {
        var template = new Template { Name = "t", Protocol = WorkerProtocol.Http1 };
        return new PodSpec(new Deployment(new Endpoint { Id = endpoint, Template = "t" }, template), $"{endpoint}-1")
        {
            Fingerprint = "f",
        };
    }

    private static Pod Record(string endpoint, string hostId) => new()
    {
        Id = $"{endpoint}-1",
        EndpointId = endpoint,
        Template = "t",
        HostId = hostId,
        State = PodState.Ready,
        Fingerprint = "f",
        RunsAs = "scripted",
        StartedAt = DateTimeOffset.UnixEpoch,
        ReadyAt = DateTimeOffset.UnixEpoch,
    };
}
