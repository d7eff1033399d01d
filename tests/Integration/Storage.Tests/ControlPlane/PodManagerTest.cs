using Microsoft.Extensions.DependencyInjection;
using Sluice.ControlPlane.Pods;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Placement;
using Sluice.Hosting;
using Sluice.Storage.Fleet;
using Sluice.Storage.Queueing;
using Sluice.Testing;

namespace Sluice.Storage.Tests.ControlPlane;

/// <summary>A pod is managed until it has exited, whatever error occurs; on a real Redis.</summary>
public sealed class PodManagerTest : IClassFixture<RedisFixture>, IDisposable
{
    private readonly ScriptedHost host = new();
    private readonly PodStore store;
    private readonly WorkerSlotStore slots;
    private readonly ServiceProvider services;
    private readonly ManagedPods pods;

    public PodManagerTest(RedisFixture redis)
    {
        store = new PodStore(redis.Store);
        slots = new WorkerSlotStore(redis.Store);
        services = TestControlPlane.Build(redis.Store, redis.Store, host, TimeProvider.System);
        pods = services.GetRequiredService<ManagedPods>();
    }

    private PodReconciliation Reconciliation => services.GetRequiredService<PodReconciliation>();

    private PodAdoption Adoption => services.GetRequiredService<PodAdoption>();

    public void Dispose()
    {
        services.Dispose();
        host.Dispose();
    }

    [Fact]
    public async Task A_start_that_fails_with_an_unexpected_exception_is_a_failed_pod()
    {
        host.Start = _ => throw new FormatException("unexpected");
        var end = await EndOfAsync("thoughtless");
        Assert.True(end.Failed);
        Assert.Contains("unexpected", end.Pod.Reason, StringComparison.Ordinal);
        Assert.False(pods.HasPodsOf("thoughtless"));
        Assert.Equal(PodState.Failed, Assert.Single(await store.ListAsync("thoughtless", default)).State);
    }

    [Fact]
    public async Task An_internal_error_after_the_start_kills_the_pod()
    {
        ScriptedPod? started = null;
        host.Start = order =>
        {
            started = new ScriptedPod(order) { Named = () => throw new FormatException("unexpected") };
            return Task.FromResult<RunningPod>(started);
        };
        var end = await EndOfAsync("careless");
        Assert.True(end.Failed);
        Assert.Equal("killed", await started!.Exited);
        Assert.False(pods.HasPodsOf("careless"));
    }

    [Fact]
    public async Task A_kill_that_hangs_does_not_block_the_rounds()
    {
        var (kills, killed) = (0, new TaskCompletionSource());
        using var worker = new RawServer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        host.Start = order => Task.FromResult<RunningPod>(new ScriptedPod(order, worker.Uri));
        host.Kill = async pod =>
        {
            kills++;
            await killed.Task;
            pod.End("killed");
        };
        await OrderAsync("hanging");
        await Eventually.HoldsAsync(async () => (await slots.SnapshotAsync("hanging", default)).Workers.Count == 1
            && (await store.ListAsync("hanging", default)) is [{ State: PodState.Ready }], "the pod is ready");
        var pod = Assert.Single(await store.ListAsync("hanging", default));
        worker.Dispose();
        await slots.DrainAsync("hanging", pod.Id, default);

        for (var look = 0; look < 5; look++)
        {
            var fleetLook = await store.ReadAsync("hanging", 0, default);
            var snapshot = await slots.SnapshotAsync("hanging", default);
            await Reconciliation.ReconcileAsync("hanging", 1, snapshot, fleetLook, default)
                .WaitAsync(ChildProcess.Patience, TimeProvider.System);
        }

        Assert.Equal(1, kills);
        killed.SetResult();
        await Eventually.HoldsAsync(() => !pods.HasPodsOf("hanging"), "the pod has exited");
    }

    [Fact]
    public async Task A_pod_whose_exit_was_not_observed_keeps_its_devices_until_its_host_confirms_the_exit()
    {
        var (forgetting, gone) = (new TaskCompletionSource(), new TaskCompletionSource());
        host.Start = order =>
        {
            var pod = new ScriptedPod(order) { Lost = true };
            pod.End("unknown: the daemon could not be asked");
            return Task.FromResult<RunningPod>(pod);
        };
        host.Forget = () =>
        {
            forgetting.SetResult();
            return gone.Task;
        };
        await OrderAsync("unseen", "GPU-1");
        await forgetting.Task.WaitAsync(ChildProcess.Patience, TimeProvider.System);

        var held = Assert.Single(await store.ListAsync("unseen", default));
        Assert.Equal(PodState.Stopping, held.State);
        Assert.Equal("GPU-1", Assert.Single(Assert.Single(pods.Holdings).Devices).Uuid);
        gone.SetResult();
        await Eventually.HoldsAsync(() => !pods.HasPodsOf("unseen"), "the pod has exited");
        Assert.Equal(PodState.Failed, Assert.Single(await store.ListAsync("unseen", default)).State);
    }

    [Fact]
    public async Task State_that_Redis_lost_of_a_pod_is_written_again()
    {
        using var worker = new RawServer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        var ready = await ReadyAsync("forgotten", worker.Uri);
        await store.PutAsync(ready with { State = PodState.Starting, ReadyAt = null, Reason = "ordered" }, default);
        await ReconcileAsync("forgotten");
        var restored = Assert.Single(await store.ListAsync("forgotten", default));
        Assert.Equal((PodState.Ready, ready.ReadyAt), (restored.State, restored.ReadyAt));

        // The pod drains while it has a request of a gateway. Redis then loses the drain state too.
        var address = new WorkerAddress(ready.Id, worker.Uri, WorkerProtocol.Http1, "token", 1);
        await slots.UpAsync("forgotten", address, default);
        await store.SetDrainAsync("forgotten", 1, [ready.Id], [], default);
        await ReconcileAsync("forgotten");
        await slots.UpAsync("forgotten", address, default);
        Assert.False(Assert.Single((await slots.SnapshotAsync("forgotten", default)).Workers).Draining);
        await ReconcileAsync("forgotten");
        Assert.True(Assert.Single((await slots.SnapshotAsync("forgotten", default)).Workers).Draining);
    }

    [Fact]
    public async Task The_record_of_a_pod_whose_exit_Redis_lost_is_removed()
    {
        await Adoption.AdoptAsync([], default);
        var ghost = new Pod
        {
            Id = "ghosts-1",
            EndpointId = "ghosts",
            Template = "t",
            HostId = "here",
            State = PodState.Ready,
            Fingerprint = "f",
            StartedAt = DateTimeOffset.UnixEpoch,
        };
        Assert.True(await store.AdoptAsync(ghost, 5, default));
        Assert.True(await store.AdoptAsync(ghost with { Id = "ghosts-2", HostId = "elsewhere" }, 5, default));
        var address = new WorkerAddress(ghost.Id, new Uri("http://127.0.0.1:9"), WorkerProtocol.Http1, "token", 1);
        await slots.UpAsync("ghosts", address, default);
        // In the first round the pod may be one that is just being started or stopped.
        Assert.False(await ReconcileAsync("ghosts"));
        Assert.Equal(2, (await store.ListAsync("ghosts", default)).Count);
        Assert.True(await ReconcileAsync("ghosts"));
        Assert.Equal("ghosts-2", Assert.Single(await store.ListAsync("ghosts", default)).Id);
        Assert.Empty((await slots.SnapshotAsync("ghosts", default)).Workers);

        // A gateway that does not lead compares all records after Redis is available again.
        Assert.True(await store.AdoptAsync(ghost, 5, default));
        Adoption.Relist();
        await Adoption.AdoptAsync([], default);
        Assert.Equal("ghosts-2", Assert.Single(await store.ListAsync("ghosts", default)).Id);
    }

    private async Task<bool> ReconcileAsync(string endpoint)
    {
        var snapshot = await slots.SnapshotAsync(endpoint, default);
        var look = await store.ReadAsync(endpoint, 0, default);
        return await Reconciliation.ReconcileAsync(endpoint, 1, snapshot, look, default);
    }

    private async Task<Pod> ReadyAsync(string endpoint, Uri uri)
    {
        host.Start = order => Task.FromResult<RunningPod>(new ScriptedPod(order, uri));
        await OrderAsync(endpoint);
        await Eventually.HoldsAsync(
            async () => (await store.ListAsync(endpoint, default)) is [{ State: PodState.Ready }], "the pod is ready");
        return Assert.Single(await store.ListAsync(endpoint, default));
    }

    private async Task<PodEnd> EndOfAsync(string endpoint)
    {
        var ended = new TaskCompletionSource<PodEnd>(TaskCreationOptions.RunContinuationsAsynchronously);
        services.GetRequiredService<PodTermination>().Ended += ended.SetResult;
        await OrderAsync(endpoint);
        return await ended.Task.WaitAsync(ChildProcess.Patience, TimeProvider.System);
    }

    private async Task OrderAsync(string endpoint, params string[] devices)
    {
        var template = new Template { Name = "t", Protocol = WorkerProtocol.Http1 };
        var deployment = new Deployment(new Endpoint { Id = endpoint, Template = "t" }, template);
        var held = devices.Select(d => new HeldDevice(d));
        var holding = new GpuAllocation(PodManager.NewId(endpoint), endpoint, [.. held]);
        var manager = services.GetRequiredService<PodManager>();
        Assert.Equal(StartDecision.Taken, await manager.StartAsync(deployment, "f", 1, holding, default));
    }
}
