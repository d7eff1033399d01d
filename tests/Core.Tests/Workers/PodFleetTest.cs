using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Core.Dispatch;
using Sluice.Core.Endpoints;
using Sluice.Core.Gpus;
using Sluice.Core.Workers;
using Sluice.Testing;

namespace Sluice.Core.Tests.Workers;

/// <summary>A pod's life ends whatever happens in it; on a real Redis.</summary>
public sealed class PodFleetTest : IClassFixture<RedisFixture>, IDisposable
{
    private readonly ScriptedHost host = new();
    private readonly PodStore store;
    private readonly WorkerSlotStore slots;
    private readonly PodFleet fleet;

    public PodFleetTest(RedisFixture redis)
    {
        store = new PodStore(redis.Store);
        slots = new WorkerSlotStore(redis.Store);
        fleet = new PodFleet(new HostId("here"), host, store, slots, TimeProvider.System, NullLogger<PodFleet>.Instance);
    }

    public void Dispose()
    {
        fleet.Dispose();
        host.Dispose();
    }

    [Fact]
    public async Task A_start_that_fails_in_a_way_that_nobody_thought_of_is_a_failed_pod()
    {
        host.Start = _ => throw new FormatException("who would have thought");
        var end = await EndOfAsync("thoughtless");
        Assert.True(end.Failed);
        Assert.Contains("who would have thought", end.Pod.Reason, StringComparison.Ordinal);
        Assert.False(fleet.HasPodsOf("thoughtless"));
        Assert.Equal(PodState.Failed, Assert.Single(await store.ListAsync("thoughtless", default)).State);
    }

    [Fact]
    public async Task An_error_while_it_is_cared_for_ends_the_pod_and_what_runs_of_it()
    {
        ScriptedPod? started = null;
        host.Start = order =>
        {
            started = new ScriptedPod(order) { Named = () => throw new FormatException("who would have thought") };
            return Task.FromResult<RunningPod>(started);
        };
        var end = await EndOfAsync("careless");
        Assert.True(end.Failed);
        Assert.Equal("killed", await started!.Exited);
        Assert.False(fleet.HasPodsOf("careless"));
    }

    [Fact]
    public async Task A_kill_that_hangs_does_not_hold_the_look_at_the_others()
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
            && (await store.ListAsync("hanging", default)) is [{ State: PodState.Ready }], "it is ready");
        var pod = Assert.Single(await store.ListAsync("hanging", default));
        worker.Dispose();
        await slots.DrainAsync("hanging", pod.Id, default);

        for (var look = 0; look < 5; look++)
        {
            var fleetLook = await store.ReadAsync("hanging", 0, default);
            await fleet.ReconcilePodsAsync("hanging", 1, await slots.SnapshotAsync("hanging", default), fleetLook, default)
                .WaitAsync(ChildProcess.Patience, TimeProvider.System);
        }

        Assert.Equal(1, kills);
        killed.SetResult();
        await Eventually.HoldsAsync(() => Task.FromResult(!fleet.HasPodsOf("hanging")), "it is gone");
    }

    [Fact]
    public async Task A_pod_whose_end_nobody_saw_keeps_its_devices_until_its_host_says_that_it_is_gone()
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
        Assert.Equal("GPU-1", Assert.Single(Assert.Single(fleet.Holdings).Devices).Uuid);
        gone.SetResult();
        await Eventually.HoldsAsync(() => Task.FromResult(!fleet.HasPodsOf("unseen")), "it is gone");
        Assert.Equal(PodState.Failed, Assert.Single(await store.ListAsync("unseen", default)).State);
    }

    [Fact]
    public async Task What_Redis_lost_of_a_pod_is_written_again()
    {
        using var worker = new RawServer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        var ready = await ReadyAsync("forgotten", worker.Uri);
        await store.PutAsync(ready with { State = PodState.Starting, ReadyAt = null, Reason = "ordered" }, default);
        await KeepAsync("forgotten");
        Assert.Equal((PodState.Ready, ready.ReadyAt), Assert.Single(await store.ListAsync("forgotten", default)) is var p ? (p.State, p.ReadyAt) : default);

        // It drains, with a request of a gateway; and Redis loses that too.
        await slots.UpAsync("forgotten", new WorkerAddress(ready.Id, worker.Uri, WorkerProtocol.Http1, "token", 1), default);
        await store.SetDrainAsync("forgotten", 1, [ready.Id], [], default);
        await KeepAsync("forgotten");
        await slots.UpAsync("forgotten", new WorkerAddress(ready.Id, worker.Uri, WorkerProtocol.Http1, "token", 1), default);
        Assert.False(Assert.Single((await slots.SnapshotAsync("forgotten", default)).Workers).Draining);
        await KeepAsync("forgotten");
        Assert.True(Assert.Single((await slots.SnapshotAsync("forgotten", default)).Workers).Draining);
    }

    [Fact]
    public async Task A_pod_of_this_host_whose_end_Redis_lost_takes_no_requests_and_counts_for_nothing()
    {
        await fleet.TakeOverAsync([], default);
        var ghost = new Pod
        {
            Id = "ghosts-1", EndpointId = "ghosts", Template = "t", HostId = "here", State = PodState.Ready, Fingerprint = "f", StartedAt = DateTimeOffset.UnixEpoch,
        };
        Assert.True(await store.AdoptAsync(ghost, 5, default));
        Assert.True(await store.AdoptAsync(ghost with { Id = "ghosts-2", HostId = "elsewhere" }, 5, default));
        await slots.UpAsync("ghosts", new WorkerAddress(ghost.Id, new Uri("http://127.0.0.1:9"), WorkerProtocol.Http1, "token", 1), default);
        // In the first look it may be one that is just being started or ended.
        Assert.False(await KeepAsync("ghosts"));
        Assert.Equal(2, (await store.ListAsync("ghosts", default)).Count);
        Assert.True(await KeepAsync("ghosts"));
        Assert.Equal("ghosts-2", Assert.Single(await store.ListAsync("ghosts", default)).Id);
        Assert.Empty((await slots.SnapshotAsync("ghosts", default)).Workers);

        // A gateway that does not lead looks at all of them when Redis is back.
        Assert.True(await store.AdoptAsync(ghost, 5, default));
        fleet.Relist();
        await fleet.TakeOverAsync([], default);
        Assert.Equal("ghosts-2", Assert.Single(await store.ListAsync("ghosts", default)).Id);
    }

    private async Task<bool> KeepAsync(string endpoint) =>
        await fleet.ReconcilePodsAsync(endpoint, 1, await slots.SnapshotAsync(endpoint, default), await store.ReadAsync(endpoint, 0, default), default);

    private async Task<Pod> ReadyAsync(string endpoint, Uri uri)
    {
        host.Start = order => Task.FromResult<RunningPod>(new ScriptedPod(order, uri));
        await OrderAsync(endpoint);
        await Eventually.HoldsAsync(async () => (await store.ListAsync(endpoint, default)) is [{ State: PodState.Ready }], "it is ready");
        return Assert.Single(await store.ListAsync(endpoint, default));
    }

    private async Task<PodEnd> EndOfAsync(string endpoint)
    {
        var ended = new TaskCompletionSource<PodEnd>(TaskCreationOptions.RunContinuationsAsynchronously);
        fleet.Ended += ended.SetResult;
        await OrderAsync(endpoint);
        return await ended.Task.WaitAsync(ChildProcess.Patience, TimeProvider.System);
    }

    private async Task OrderAsync(string endpoint, params string[] devices)
    {
        var deployment = new Deployment(new Endpoint { Id = endpoint, Template = "t" }, new Template { Name = "t", Protocol = WorkerProtocol.Http1 });
        Assert.Equal(OrderAnswer.Taken, await fleet.StartAsync(deployment, "f", 1,
            new GpuHolding(PodFleet.NewId(endpoint), endpoint, [.. devices.Select(d => new HeldDevice(d))]), default));
    }
}
