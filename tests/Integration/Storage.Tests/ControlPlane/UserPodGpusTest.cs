using Microsoft.Extensions.Logging.Abstractions;
using Sluice.ControlPlane.Gpus;
using Sluice.ControlPlane.Machine;
using Sluice.ControlPlane.UserPods;
using Sluice.Domain.Declarations;
using Sluice.Domain.Gpus;
using Sluice.Domain.Placement;
using Sluice.Domain.UserPods;
using Sluice.Storage.Fleet;
using Sluice.Storage.UserPods;
using Sluice.Testing;

namespace Sluice.Storage.Tests.ControlPlane;

/// <summary>Claims of user pods beside those of workers: no device is assigned twice; on a real Redis.</summary>
public sealed class UserPodGpusTest : IClassFixture<RedisFixture>, IAsyncLifetime, IDisposable
{
    private readonly RedisFixture redis;
    private readonly GpuStore store;
    private readonly GpuInventory inventory;
    private readonly UserPodGpus gpus;

    public UserPodGpusTest(RedisFixture redis)
    {
        this.redis = redis;
        store = new GpuStore(redis.Store);
        var (read, _) = InventoryFile.Parse("""{ "gpus": [{ "name": "Tesla T4", "count": 2 }] }""", "test");
        inventory = new GpuInventory(new ScriptedGpus(read!), new GpuInventoryOptions(null, "this-machine"),
            TimeProvider.System, NullLogger<GpuInventory>.Instance);
        gpus = new UserPodGpus(inventory, store);
    }

    public async ValueTask InitializeAsync()
    {
        await redis.Store.Database.ExecuteAsync("FLUSHALL");
        await inventory.ReadAsync(default);
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    public void Dispose() => inventory.Dispose();

    [Fact]
    public async Task Each_pod_gets_a_free_device_and_the_third_one_waits()
    {
        var first = await gpus.AllocateAsync(Pod("a"), default);
        var second = await gpus.AllocateAsync(Pod("b"), default);
        Assert.NotEqual(Assert.Single(first.Uuids), Assert.Single(second.Uuids));
        // A repeated request, whose result was lost, has a device of its own still.
        Assert.Null((await gpus.AllocateAsync(Pod("b"), default)).Refusal);
        var third = await gpus.AllocateAsync(Pod("c"), default);
        Assert.False(third.Refusal!.Never);
        Assert.Equal(2, (await store.ListAsync(default)).Count);
    }

    [Fact]
    public async Task A_requirement_that_no_machine_meets_is_refused_for_good()
    {
        var pod = Pod("a");
        pod = pod with { Spec = pod.Spec with { Gpu = new GpuRequirements { Count = 3 } } };
        Assert.True((await gpus.AllocateAsync(pod, default)).Refusal!.Never);
    }

    [Fact]
    public async Task A_worker_does_not_get_the_device_of_a_pod_and_a_pod_not_that_of_a_worker()
    {
        var uuid = (await gpus.AllocateAsync(Pod("a"), default)).Uuids[0];
        var free = inventory.Current.Gpus.Single(g => g.Uuid != uuid).Uuid;
        var request = new GpuRequest { Id = "w", EndpointId = "e", Needs = new GpuRequirements() };
        var placed = PlacementPlanner.Place(inventory.Current, await store.ListAsync(default), [request])[0];
        Assert.Equal([free], placed.Uuids);
        var thief = new GpuAllocation("w", "e", [new HeldDevice(uuid)]);
        Assert.Equal(uuid, await store.ClaimAsync(thief, _ => 0, default));
        // Reconciliation of any endpoint leaves the claim of the pod alone.
        Assert.Empty(await TestControlPlane.AllocatorOf(inventory, redis.Store).ReconcileClaimsAsync("e", [], default));
        Assert.Single(await store.ListAsync(default));

        Assert.Null(await store.ClaimAsync(new GpuAllocation("w", "e", [new HeldDevice(free)]), _ => 0, default));
        Assert.NotNull((await gpus.AllocateAsync(Pod("b"), default)).Refusal);
    }

    [Fact]
    public async Task A_claim_ends_when_its_pod_holds_no_device_any_more()
    {
        var placed = await gpus.AllocateAsync(Pod("a"), default);
        var holds = new UserPodEntry(Pod("a"), new UserPodState { Devices = placed.Uuids }, "n");
        for (var i = 0; i < 3; i++) Assert.Empty(await gpus.ReconcileAsync([holds], [holds], default));
        Assert.Single(await store.ListAsync(default));
        var stopped = holds with { State = new UserPodState() };
        for (var i = 0; i < 2; i++) await gpus.ReconcileAsync([stopped], [stopped], default);
        Assert.Empty(await store.ListAsync(default));
    }

    [Fact]
    public async Task A_claim_whose_pod_has_not_stored_its_device_yet_is_kept()
    {
        // The comparison runs between the claim and the store of the pod's state.
        var placed = await gpus.AllocateAsync(Pod("a"), default);
        var before = new UserPodEntry(Pod("a"), new UserPodState(), "n");
        await gpus.ReconcileAsync([before], [before], default);
        Assert.Equal(placed.Uuids, Assert.Single(await store.ListAsync(default)).Devices.Select(d => d.Uuid));
        var after = before with { State = new UserPodState { Devices = placed.Uuids } };
        await gpus.ReconcileAsync([after], [after], default);
        await gpus.ReconcileAsync([after], [after], default);
        Assert.Single(await store.ListAsync(default));
    }

    [Fact]
    public async Task A_lost_claim_is_restored_unless_a_worker_has_the_device()
    {
        var uuids = inventory.Current.Gpus.Select(g => g.Uuid).ToList();
        var lucky = new UserPodEntry(Pod("a"), new UserPodState { Devices = [uuids[0]] }, "n");
        var lost = new UserPodEntry(Pod("b"), new UserPodState { Devices = [uuids[1]] }, "n");
        Assert.Null(await store.ClaimAsync(new GpuAllocation("w", "e", [new HeldDevice(uuids[1])]), _ => 0, default));
        Assert.Equal(["b"], await gpus.ReconcileAsync([lucky, lost], [lucky, lost], default));
        Assert.Equal(["pod-a", "w"], (await store.ListAsync(default)).Select(c => c.PodId));
        // Pods of other nodes keep their claims; their own gateway restores them.
        Assert.Empty(await gpus.ReconcileAsync([], [lucky, lost], default));
    }

    private static UserPod Pod(string id) => new()
    {
        Id = id,
        Spec = new UserPodSpec { Name = "n", Image = "i:1", Gpu = new GpuRequirements() },
        Owner = "key",
        CreatedAt = default,
    };
}
