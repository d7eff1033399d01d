using Microsoft.Extensions.DependencyInjection;
using Sluice.Storage.Audit;
using Sluice.Storage.Batches;
using Sluice.Storage.Catalog;
using Sluice.Storage.Files;
using Sluice.Storage.Fleet;
using Sluice.Storage.Jobs;
using Sluice.Storage.Keys;
using Sluice.Storage.Logging;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;
using Sluice.Storage.Series;
using Sluice.Storage.Usage;
using Sluice.Storage.UserPods;

namespace Sluice.Storage;

/// <summary>Registers the stores in Redis and the services that watch it.</summary>
public static class StorageServiceCollectionExtensions
{
    /// <summary>
    /// Adds all stores. The caller registers <see cref="TimeProvider"/> and logging. Hosted services, in this order:
    /// <see cref="RedisMemoryPressure"/>, <see cref="CatalogWatcher"/>, <see cref="UserPodCatalog"/>.
    /// </summary>
    /// <param name="services">The services of the gateway.</param>
    /// <param name="redis">The connection that all stores share. The caller disposes it.</param>
    /// <param name="payloads">The payload folder. The caller has checked it.</param>
    /// <param name="gatewayId">Identifies the gateway in the leader election and as a controller of pods; unique across
    /// restarts.</param>
    public static IServiceCollection AddSluiceStorage(
        this IServiceCollection services,
        RedisStore redis,
        PayloadShare payloads,
        string gatewayId)
    {
        services.AddSingleton(redis).AddSingleton(payloads);
        services.AddSingleton<RedisMemoryPressure>();
        services.AddSingleton<WorkerSlotStore>().AddSingleton<EndpointActivity>();
        services.AddSingleton<CatalogStore>().AddSingleton<CatalogWatcher>().AddSingleton<EndpointDeletions>();
        services.AddSingleton(s => new WorkerLogStore(s.GetRequiredService<RedisStore>(), TimeProvider.System));
        services.AddSingleton<PodStore>().AddSingleton<NodeStore>().AddSingleton<SchemaStore>();
        services.AddSingleton<GpuStore>().AddSingleton<ScalingDecisionStore>();
        services.AddSingleton(s => new LeaderElection(s.GetRequiredService<RedisStore>(), gatewayId));
        services.AddSingleton<KeyStore>().AddSingleton<TicketStore>()
            .AddSingleton<SessionStore>().AddSingleton<SeriesStore>().AddSingleton<AuditStore>()
            .AddSingleton<LogLevelStore>();
        services.AddSingleton(s => new UserPodStore(s.GetRequiredService<RedisStore>(), gatewayId))
            .AddSingleton<UserPodCatalog>();
        services.AddSingleton(s => new PayloadStore(s.GetRequiredService<PayloadShare>())).AddSingleton<PayloadSweep>();
        services.AddSingleton<BlobStore>().AddSingleton<FileStore>().AddSingleton<BatchStore>();
        services.AddSingleton<JobStore>().AddSingleton<JobStreams>().AddSingleton<JobQueries>();
        services.AddSingleton<JobRetention>().AddSingleton<WebhookStore>().AddSingleton<UsageLedger>()
            .AddSingleton<BudgetStore>();

        services.AddHostedService(s => s.GetRequiredService<RedisMemoryPressure>());
        services.AddHostedService(s => s.GetRequiredService<CatalogWatcher>());
        services.AddHostedService(s => s.GetRequiredService<UserPodCatalog>());
        return services;
    }
}
