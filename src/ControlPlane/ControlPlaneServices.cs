using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Sluice.ControlPlane.Gpus;
using Sluice.ControlPlane.Leadership;
using Sluice.ControlPlane.Machine;
using Sluice.ControlPlane.Maintenance;
using Sluice.ControlPlane.Manifests;
using Sluice.ControlPlane.Nodes;
using Sluice.ControlPlane.Pods;
using Sluice.ControlPlane.Reconciliation;
using Sluice.ControlPlane.Scheduling;
using Sluice.ControlPlane.UserPods;
using Sluice.Domain.Fleet;
using Sluice.Hosting;
using Sluice.Hosting.UserPods;
using Sluice.Storage.Fleet;
using Sluice.Storage.Usage;
using Sluice.Storage.UserPods;

namespace Sluice.ControlPlane;

/// <summary>Registers the control plane.</summary>
public static class ControlPlaneServices
{
    /// <summary>
    /// Adds the services of the control plane, and its hosted services. Hosted services stop in the reverse order of
    /// their registration: register those that need workers until they stop after this call, and dispatch and the
    /// watchers of the storage before it. The caller registers the stores, the leader election, an <c>IPodHost</c>, a
    /// <c>HostId</c>, a <c>BuiltInWorker</c> and a <see cref="TimeProvider"/>.
    /// </summary>
    /// <param name="services">The services of the gateway.</param>
    /// <param name="manifest">The manifest of this gateway.</param>
    /// <param name="inventory">The source of the inventory.</param>
    /// <param name="node">What is announced about this machine; null: only its name.</param>
    public static IServiceCollection AddSluiceControlPlane(
        this IServiceCollection services,
        ManifestOptions manifest,
        GpuInventoryOptions inventory,
        NodeSettings? node = null)
    {
        services.AddSingleton(node ?? new NodeSettings(inventory.Node));
        services.AddSingleton(manifest).AddSingleton<ManifestLoop>().AddSingleton<SecretSource>();
        services.AddSingleton(inventory).AddSingleton<GpuInventory>();
        services.AddSingleton<IGpuSource>(s => inventory.File is { } file ? new GpuInventoryFile(file)
            : s.GetRequiredService<IPodHost>().Gpus
                ?? new NvidiaSmi("nvidia-smi", s.GetRequiredService<TimeProvider>()));
        services.AddSingleton<JobMaintenanceService>();
        AddPods(services);
        AddNodes(services);
        AddLeadership(services);
        AddGpus(services);
        AddReconciliation(services);

        services.AddHostedService(s => s.GetRequiredService<ManifestLoop>());
        services.AddHostedService(s => s.GetRequiredService<GpuInventory>());
        // Services stop in the reverse order: the last lines of the workers that the reconciler stops are stored.
        services.AddHostedService(s => s.GetRequiredService<WorkerLogWriter>());
        services.AddHostedService(s => s.GetRequiredService<Reconciler>());
        services.AddHostedService(s => s.GetRequiredService<SchemaUpgrade>());
        services.AddHostedService<HostDiagnostics>();
        services.AddHostedService<PayloadWatch>();
        services.AddHostedService(s => s.GetRequiredService<JobMaintenanceService>());
        return services;
    }

    /// <summary>
    /// Adds the control of user pods, after the other services of the control plane. The caller registers an
    /// <c>IUserPodHost</c> and <see cref="UserPodOptions"/>.
    /// </summary>
    public static IServiceCollection AddSluiceUserPods(this IServiceCollection services)
    {
        services.AddSingleton<UserPodGpus>().AddSingleton<UserPodProbe>().AddSingleton<UserPodMeter>()
            .AddSingleton<UserPodExecution>();
        services.AddSingleton(s => new UserPodController(
            s.GetRequiredService<IUserPodHost>(),
            s.GetRequiredService<UserPodStore>(),
            s.GetRequiredService<UserPodCatalog>(),
            s.GetRequiredService<UserPodExecution>(),
            s.GetRequiredService<UserPodGpus>(),
            s.GetRequiredService<UserPodProbe>(),
            s.GetRequiredService<UserPodMeter>(),
            s.GetRequiredService<UserPodOptions>(),
            s.GetRequiredService<TimeProvider>(),
            s.GetRequiredService<ILogger<UserPodController>>()));
        return services.AddHostedService(s => s.GetRequiredService<UserPodController>());
    }

    private static void AddPods(IServiceCollection services)
    {
        services.AddSingleton<ReconcileQueue>().AddSingleton<RestingEndpoints>();
        services.AddSingleton<HostLease>().AddSingleton<ManagedPods>().AddSingleton<PodRecords>();
        services.AddSingleton<ReadinessProbe>().AddSingleton<PodReadiness>();
        services.AddSingleton<PodLifecycle>().AddSingleton<PodTermination>().AddSingleton<WorkerLogWriter>();
        services.AddSingleton(s => new PodManager(
            s.GetRequiredService<ManagedPods>(),
            s.GetRequiredService<PodRecords>(),
            s.GetRequiredService<PodLifecycle>(),
            s.GetRequiredService<PodTermination>(),
            s.GetRequiredService<TimeProvider>()));
        services.AddSingleton<PodAdoption>().AddSingleton<PodOwners>()
            .AddSingleton<UnmanagedPodFinder>().AddSingleton<UnmanagedPodSearch>();
        services.AddSingleton<PodTransitions>().AddSingleton<UnreachablePodCheck>().AddSingleton<PodOutputStore>();
        services.AddSingleton<PodStateReconciliation>().AddSingleton<PodReconciliation>();
        services.AddSingleton<PodShutdown>();
    }

    private static void AddNodes(IServiceCollection services)
    {
        services.AddSingleton(s => new FleetNodes(
            s.GetRequiredService<NodeSettings>(),
            s.GetRequiredService<HostId>(),
            s.GetRequiredService<IPodHost>(),
            s.GetRequiredService<GpuInventory>(),
            s.GetRequiredService<ManagedPods>(),
            s.GetRequiredService<NodeStore>(),
            s.GetRequiredService<TimeProvider>(),
            s.GetRequiredService<ILogger<FleetNodes>>()));
        services.AddSingleton<NodeOrders>().AddSingleton<OrderIntake>();
    }

    private static void AddLeadership(IServiceCollection services)
    {
        services.AddSingleton(s => new ScalingDecisionLog(
            s.GetRequiredService<ScalingDecisionStore>(),
            () => s.GetRequiredService<LeaderElection>().IsLeader,
            s.GetRequiredService<ILogger<ScalingDecisionLog>>()));
        services.AddSingleton<EndpointReconcileStates>().AddSingleton<EndpointAvailability>();
        services.AddSingleton<LeaderOrders>().AddSingleton<LeadershipRenewal>();
        services.AddSingleton(s => SchemaMigrations.Create(s.GetRequiredService<UsageLedger>()));
        services.AddSingleton<SchemaUpgrade>();
    }

    private static void AddGpus(IServiceCollection services)
    {
        services.AddSingleton<GpuAllocator>().AddSingleton<GpuRequests>();
        services.AddSingleton<GpuStarts>().AddSingleton<GpuPreemption>().AddSingleton<GpuRefusals>();
        services.AddSingleton<GpuReconciliation>();
    }

    private static void AddReconciliation(IServiceCollection services)
    {
        services.AddSingleton<ReconcileSources>().AddSingleton<ReconcileTriggers>();
        services.AddSingleton<EndpointReader>().AddSingleton<LostPodRemoval>();
        services.AddSingleton<ScalingPlanner>().AddSingleton<PlanExecution>().AddSingleton<EndpointScaling>();
        services.AddSingleton<EndpointDataRemoval>().AddSingleton<DeletedEndpointCleanup>();
        services.AddSingleton<EndpointRemoval>();
        services.AddSingleton<UsageAccounting>();
        services.AddSingleton<LeaderReconciliation>().AddSingleton<EndpointReconciliation>();
        services.AddSingleton<LeaderTerm>().AddSingleton<RoundEndpoints>().AddSingleton<StartPreparation>();
        services.AddSingleton<ReconcileRound>().AddSingleton<ReconcileRounds>();
        services.AddSingleton<HostShutdown>().AddSingleton<Reconciler>();
    }
}
