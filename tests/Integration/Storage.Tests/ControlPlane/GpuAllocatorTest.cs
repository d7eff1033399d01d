using Microsoft.Extensions.Logging.Abstractions;
using Sluice.ControlPlane.Gpus;
using Sluice.ControlPlane.Machine;
using Sluice.Domain.Fleet;
using Sluice.Domain.Gpus;
using Sluice.Domain.Placement;
using Sluice.Storage.Fleet;
using Sluice.Testing;

namespace Sluice.Storage.Tests.ControlPlane;

/// <summary>Claims that Redis lost are restored for running pods, but never assigned twice; on a real Redis.</summary>
public sealed class GpuAllocatorTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    [Fact]
    public async Task A_lost_claim_is_restored_unless_the_device_is_assigned_to_another_pod()
    {
        var store = new GpuStore(redis.Store);
        using var inventory = new GpuInventory(
            new ScriptedGpus(Inventory.None("none")), new GpuInventoryOptions(null, "this-machine"),
            TimeProvider.System, NullLogger<GpuInventory>.Instance);
        var desk = TestControlPlane.AllocatorOf(inventory, redis.Store);
        Pod[] pods = [Pod("lost", "GPU-1"), Pod("lucky", "GPU-2"), Pod("shares", "GPU-3", 1000)];
        var other = new GpuAllocation("thief", "other", [new HeldDevice("GPU-1")]);
        Assert.Null(await store.ClaimAsync(other, _ => 0, default));

        Assert.Equal(["lost"], await desk.ReconcileClaimsAsync("e", pods, default));

        Assert.Equal(["lucky", "shares", "thief"], (await store.ListAsync(default)).Select(c => c.PodId));
        // The claim is restored after the other pod has released the device.
        await store.ReleaseAsync(["thief"], default);
        Assert.Empty(await desk.ReconcileClaimsAsync("e", pods, default));
    }

    private static Pod Pod(string id, string device, long? share = null) => new()
    {
        Id = id,
        EndpointId = "e",
        Template = "t",
        HostId = "here",
        State = PodState.Ready,
        Fingerprint = "f",
        StartedAt = default,
        Devices = [device],
        ShareMiB = share,
    };
}
