using Microsoft.Extensions.DependencyInjection;
using Sluice.ControlPlane.Gpus;
using Sluice.ControlPlane.Machine;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Gpus;
using Sluice.Hosting;
using Sluice.Storage.Fleet;
using Sluice.Testing;

namespace Sluice.Storage.Tests.ControlPlane;

/// <summary>A host that starts pods on several nodes reports their GPUs, and gets the node with each order.</summary>
public sealed class HostWithNodesTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    [Fact]
    public async Task The_order_of_a_pod_names_the_node_of_its_devices()
    {
        var (gpus, errors) = InventoryFile.Parse("""
            { "gpus": [{ "name": "Tesla T4", "node": "a" }, { "name": "NVIDIA H200", "count": 2, "node": "b" }] }
            """, "test");
        Assert.Empty(errors);
        var ordered = new TaskCompletionSource<PodSpec>(TaskCreationOptions.RunContinuationsAsynchronously);
        using var host = new ScriptedHost { Gpus = new ScriptedGpus(gpus!) };
        host.Start = order =>
        {
            ordered.SetResult(order);
            return Task.FromResult<RunningPod>(new ScriptedPod(order));
        };
        await using var services = TestControlPlane.Build(redis.Store, redis.Store, host, TimeProvider.System);
        await services.GetRequiredService<GpuInventory>().ReadAsync(default);
        var allocator = services.GetRequiredService<GpuAllocator>();
        var template = new Template { Name = "t", Gpu = new GpuRequirements { Count = 2 } };
        var deployment = new Deployment(new Endpoint { Id = "large", Template = "t" }, template);
        allocator.RequestDevices(new PendingGpuStarts(deployment, "f", 1, 1, "test", []));

        var (request, placed) = Assert.Single(allocator.Place([]));
        await services.GetRequiredService<GpuStarts>().StartAsync(request, placed, default);

        var order = await ordered.Task.WaitAsync(ChildProcess.Patience, TimeProvider.System);
        Assert.Equal("b", order.Node);
        Assert.Equal(gpus!.Gpus.Skip(1).Select(g => g.Uuid), order.Devices);
        var pod = Assert.Single(await services.GetRequiredService<PodStore>().ListAsync("large", default));
        Assert.Equal(("b", "b"), (pod.Node, pod.Holding.Node));
        var claim = Assert.Single(await services.GetRequiredService<GpuStore>().ListAsync(default));
        Assert.Equal(("large", "b"), (claim.EndpointId, claim.Node));
    }
}
