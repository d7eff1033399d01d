using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Sluice.ControlPlane;
using Sluice.ControlPlane.Gpus;
using Sluice.ControlPlane.Machine;
using Sluice.ControlPlane.Manifests;
using Sluice.ControlPlane.Nodes;
using Sluice.ControlPlane.Pods;
using Sluice.Domain.Fleet;
using Sluice.Hosting;
using Sluice.Hosting.Processes;
using Sluice.Storage.Audit;
using Sluice.Storage.Catalog;
using Sluice.Storage.Fleet;
using Sluice.Storage.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;
using Sluice.Storage.Tests.Catalog;
using Sluice.Storage.Usage;
using Sluice.Testing;

namespace Sluice.Storage.Tests.ControlPlane;

/// <summary>The control plane of a gateway on the host "here", with the registrations of the product.</summary>
internal static class TestControlPlane
{
    /// <param name="redis">The Redis of everything except dispatch.</param>
    /// <param name="slots">The Redis of dispatch.</param>
    /// <param name="host">Runs the pods. The caller disposes it.</param>
    /// <param name="time">The clock.</param>
    /// <param name="more">Adds further services.</param>
    public static ServiceProvider Build(RedisStore redis, RedisStore slots, IPodHost host, TimeProvider time,
        Action<IServiceCollection>? more = null)
    {
        var services = new ServiceCollection();
        services.AddLogging();
        services.AddSingleton(redis).AddSingleton(time).AddSingleton(host).AddSingleton(new HostId("here"));
        services.AddSingleton<CatalogStore>().AddSingleton<CatalogWatcher>().AddSingleton<AuditStore>();
        services.AddSingleton(new WorkerLogStore(redis, time));
        services.AddSingleton<PodStore>().AddSingleton<NodeStore>().AddSingleton<SchemaStore>();
        services.AddSingleton<GpuStore>().AddSingleton<ScalingDecisionStore>();
        services.AddSingleton<UsageLedger>().AddSingleton<EndpointActivity>();
        services.AddSingleton(new WorkerSlotStore(slots)).AddSingleton(new LeaderElection(redis, "here"));
        services.AddSingleton(new BuiltInWorker(["/nowhere/worker"], "/nowhere"));
        services.AddSingleton(new PayloadShare(redis, "/nowhere")).AddSingleton<PayloadSweep>();
        services.AddSingleton(s => new PayloadStore(s.GetRequiredService<PayloadShare>()));
        services.AddSingleton<RedisMemoryPressure>().AddSingleton<JobStore>().AddSingleton<JobRetention>();
        services.AddSingleton(EndpointDeletionsTest.Deletions(redis, TimeSpan.FromSeconds(1)));
        services.AddSluiceControlPlane(new ManifestOptions(null), new GpuInventoryOptions(null, "this-machine"));
        more?.Invoke(services);
        return services.BuildServiceProvider();
    }

    /// <summary>The allocator of a gateway with these GPUs.</summary>
    public static GpuAllocator AllocatorOf(GpuInventory inventory, RedisStore redis)
    {
        var (settings, host) = (new NodeSettings("this-machine"), new HostId("here"));
        return new GpuAllocator(new FleetNodes(settings, host, new ScriptedHost(), inventory, new ManagedPods(),
            new NodeStore(redis), TimeProvider.System, NullLogger<FleetNodes>.Instance), new GpuStore(redis));
    }
}
