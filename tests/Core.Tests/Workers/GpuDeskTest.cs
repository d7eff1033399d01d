using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Core.Gpus;
using Sluice.Core.Workers;
using Sluice.Testing;

namespace Sluice.Core.Tests.Workers;

/// <summary>Claims that Redis lost come back from the pods that run, and never twice; on a real Redis.</summary>
public sealed class GpuDeskTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    [Fact]
    public async Task A_lost_claim_is_had_again_unless_another_pod_was_given_the_device()
    {
        var store = new GpuStore(redis.Store);
        using var inventory = new GpuInventory(new GpuInventoryOptions(null), TimeProvider.System, NullLogger<GpuInventory>.Instance);
        var desk = new GpuDesk(inventory, store);
        Assert.Null(await store.ClaimAsync(new GpuHolding("thief", "other", [new HeldDevice("GPU-1")]), _ => 0, default));

        Assert.Equal(["robbed"], await desk.ReconcileClaimsAsync("e", [Pod("robbed", "GPU-1"), Pod("lucky", "GPU-2"), Pod("shares", "GPU-3", 1000)], default));

        Assert.Equal(["lucky", "shares", "thief"], (await store.ListAsync(default)).Select(c => c.PodId));
        // Once the other one is gone the device is its own again.
        await store.ReleaseAsync(["thief"], default);
        Assert.Empty(await desk.ReconcileClaimsAsync("e", [Pod("robbed", "GPU-1"), Pod("lucky", "GPU-2"), Pod("shares", "GPU-3", 1000)], default));
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
