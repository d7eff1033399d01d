using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging.Console;
using Microsoft.Extensions.Options;
using Sluice.ControlPlane;
using Sluice.ControlPlane.Machine;
using Sluice.ControlPlane.Manifests;
using Sluice.ControlPlane.Nodes;
using Sluice.ControlPlane.UserPods;
using Sluice.Dispatch;
using Sluice.Gateway.Audit;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Batches;
using Sluice.Gateway.Dashboard;
using Sluice.Gateway.Forwarding;
using Sluice.Gateway.Health;
using Sluice.Gateway.Http;
using Sluice.Gateway.Jobs;
using Sluice.Gateway.Limits;
using Sluice.Gateway.Logging;
using Sluice.Gateway.Management;
using Sluice.Gateway.ModelUploads;
using Sluice.Gateway.Observability;
using Sluice.Gateway.OpenAi;
using Sluice.Gateway.OpenInference;
using Sluice.Gateway.Overview;
using Sluice.Gateway.Relay;
using Sluice.Gateway.Responses;
using Sluice.Gateway.Tokens;
using Sluice.Gateway.Tracing;
using Sluice.Gateway.Usage;
using Sluice.Gateway.UserPods;
using Sluice.Gateway.Webhooks;
using Sluice.Hosting.Processes;
using Sluice.Models.Cache;
using Sluice.Models.Uploads;
using Sluice.Storage;
using Sluice.Storage.Catalog;
using Sluice.Storage.Fleet;
using Sluice.Storage.Jobs;
using Sluice.Storage.Keys;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;
using Sluice.Storage.Responses;
using Yarp.ReverseProxy.Forwarder;

namespace Sluice.Gateway.Startup;

/// <summary>
/// Builds the gateway application: services, logging and routes. Hosted services stop in the reverse order of their
/// registration, and the HTTP server stops first. Requests finish, then workers stop, then slots are returned.
/// </summary>
public static partial class GatewayHost
{
    /// <summary>
    /// Maximum body size of management requests, in bytes. Forwarded requests have the limit of their endpoint.
    /// </summary>
    private const int MaxManagementBody = 1 << 20;

    /// <summary>Builds the application. The caller starts it.</summary>
    /// <param name="settings">The settings from the environment.</param>
    /// <param name="data">The locked data folder of this gateway.</param>
    /// <param name="redis">The Redis connection that all services share.</param>
    /// <param name="share">The payload folder. The caller has checked it.</param>
    /// <param name="logging">Changes where log entries go. Null: the console.</param>
    public static WebApplication Build(GatewaySettings settings, DataFolder data, RedisStore redis, PayloadShare share,
        Action<ILoggingBuilder>? logging = null)
    {
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions
        {
            ApplicationName = "Sluice.Gateway",
            // Otherwise the builder watches each file below the working folder for changes of an appsettings.json,
            // also the log of the embedded Redis.
            Args = ["--hostBuilder:reloadConfigOnChange=false"],
        });
        // GatewaySettings is the only source of settings.
        builder.Configuration.Sources.Clear();
        builder.Configuration.AddInMemoryCollection();
        builder.WebHost.UseUrls(settings.Urls.Split(';'));
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = MaxManagementBody;
            // Latin-1 maps every byte of a header value to one character, so values pass unchanged between client and
            // worker. An API key may be any UTF-8 text.
            kestrel.RequestHeaderEncodingSelector = name =>
                name.Equals("Authorization", StringComparison.OrdinalIgnoreCase) ? null!
                : name.Equals("Connection", StringComparison.OrdinalIgnoreCase)
                ? ConnectionHeader.Instance : Encoding.Latin1;
            kestrel.ResponseHeaderEncodingSelector = _ => Encoding.Latin1;
        });
        ConfigureLogging(builder.Logging, settings);
        logging?.Invoke(builder.Logging);
        AddServices(builder.Services, settings, data, redis, share);
        var app = builder.Build();
        foreach (var setting in settings.Ineffective) SettingIgnored(app.Logger, setting);
        // It exports from its creation on.
        app.Services.GetRequiredService<TraceExport>();
        if (data.OpenToOthers is { } open) DataFolderOpenToOthers(app.Logger, open);
        MapRoutes(app, settings);
        _ = StopWhenUnsupportedAsync(app, redis.Schema);
        var dispatcher = app.Services.GetRequiredService<Dispatcher>();
        app.Services.GetRequiredService<CatalogWatcher>().Changed += catalog =>
            dispatcher.Retain(catalog.Deployments.Select(d => d.Endpoint.Id));
        return app;
    }

    /// <summary>
    /// Stops the gateway when another one has raised the data to a version that this build cannot use.
    /// </summary>
    private static async Task StopWhenUnsupportedAsync(WebApplication app, ActiveSchema schema)
    {
        await schema.Unsupported;
        SchemaVersionUnsupported(app.Logger, ActiveSchema.Describe(schema.View.Schema, schema.Supported));
        app.Lifetime.StopApplication();
    }

    /// <summary>Creates the loggers that are used before the application is built.</summary>
    public static ILoggerFactory CreateLogging(GatewaySettings settings) =>
        LoggerFactory.Create(logging => ConfigureLogging(logging, settings));

    /// <summary>Maps the routes of all APIs. A test checks every mapped route.</summary>
    internal static void MapRoutes(WebApplication app, GatewaySettings settings)
    {
        T Get<T>() where T : notnull => app.Services.GetRequiredService<T>();
        app.Use(next => context => RequestId.InvokeAsync(context, next));
        var shutdown = Get<ShutdownDelay>();
        app.Use(next => context => shutdown.InvokeAsync(context, next));
        var pods = Get<UserPodProxy>();
        app.Use(next => context => pods.InvokeAsync(context, next));
        app.UseRouting();
        if (settings.Tracing.IsEnabled) app.Use(next => context => RequestTracing.InvokeAsync(context, next));
        var authentication = Get<ApiKeyAuthenticationMiddleware>();
        var logger = Get<ILoggerFactory>().CreateLogger("Sluice.Gateway.Api");
        var crossOrigin = new CrossOrigin(settings.Cors, Get<CatalogWatcher>());
        app.Use(next => context => crossOrigin.InvokeAsync(context, next));
        app.Use(next => context => authentication.InvokeAsync(context, next));
        app.Use(next => context => GatewayExceptionHandler.InvokeAsync(context, next, logger));
        var audit = Get<AuditMiddleware>();
        app.Use(next => context => audit.InvokeAsync(context, next));
        var relay = Get<EndpointRelay>();
        OperationsApi.Map(app, Get<Readiness>(), Get<MetricsCollector>(), Get<FleetGauges>(), Get<WorkerMetrics>(),
            settings.MetricsPublic);
        DirectApi.Map(app, relay);
        OpenInferenceApi.Map(app, relay, Get<Readiness>(), Get<WorkerSlotStore>(), Get<ModelVersions>());
        Get<RepositoryApi>().Map(app);
        OpenAiApi.Map(app, relay, Get<CatalogWatcher>());
        Get<FilesApi>().Map(app);
        Get<BatchesApi>().Map(app);
        Get<ResponsesApi>().Map(app);
        DashboardApi.Map(app, DashboardFiles.Read(typeof(GatewayHost).Assembly));
        Get<KeysApi>().Map(app);
        Get<SessionsApi>().Map(app);
        Get<OverviewApi>().Map(app);
        Get<SeriesApi>().Map(app);
        Get<AuditApi>().Map(app);
        Get<LogLevelApi>().Map(app);
        Get<UsageApi>().Map(app);
        Get<BudgetsApi>().Map(app);
        Get<CatalogApi>().Map(app);
        Get<DeclarationsApi>().Map(app);
        Get<WorkerLogsApi>().Map(app);
        Get<ModelsApi>().Map(app);
        Get<JobsApi>().Map(app);
        WebhooksApi.Map(app, Get<WebhookStore>(), Get<CatalogWatcher>(), Get<TimeProvider>());
        AdminApi.Map(app, Get<JobQueries>(), Get<CatalogWatcher>());
        HostsApi.Map(app, Get<PodStore>(), Get<RedisStore>().Schema);
        Get<GpusApi>().Map(app);
        Get<SocketTickets>().Map(app);
        Get<UserPodsApi>().Map(app);
        Get<RunPodPodsApi>().Map(app);
        pods.Map(app);
        app.MapOpenApi("/openapi.json").WithMetadata(new AccessRule(AccessLevel.Nothing));
    }

    private static void ConfigureLogging(ILoggingBuilder logging, GatewaySettings settings)
    {
        logging.ClearProviders();
        var levels = new LogLevelSwitch(settings.LogLevel);
        logging.Services.AddSingleton(levels).AddSingleton<IConfigureOptions<LoggerFilterOptions>>(levels)
            .AddSingleton<IOptionsChangeTokenSource<LoggerFilterOptions>>(levels);
        logging.Services.AddSingleton(TimeProvider.System);
        logging.AddConsole(o => o.FormatterName = settings.JsonLog
            ? JsonLineFormatter.FormatName : LineFormatter.FormatName)
            .AddConsoleFormatter<LineFormatter, ConsoleFormatterOptions>()
            .AddConsoleFormatter<JsonLineFormatter, ConsoleFormatterOptions>();
    }

    private static void AddServices(IServiceCollection services, GatewaySettings settings, DataFolder data,
        RedisStore redis, PayloadShare share)
    {
        services.Configure<HostOptions>(o => o.ShutdownTimeout = settings.ShutdownDelay + settings.Drain);
        services.AddSingleton(s => ActivatorUtilities.CreateInstance<ShutdownDelay>(s, settings.ShutdownDelay))
            .AddHostedService(s => s.GetRequiredService<ShutdownDelay>());
        services.AddRouting();
        services.AddHttpForwarder();
        AddResponseFormats(services);
        services.AddSingleton(TimeProvider.System);
        services.AddSingleton(data.Host).AddSingleton(new UsageFolder(Path.Combine(data.Path, "usage")));
        var gatewayId = new GatewayId(RandomNumberGenerator.GetHexString(16, lowercase: true));
        services.AddSingleton(s => new TraceExport(
            settings.Tracing, gatewayId.Value, s.GetRequiredService<ILogger<TraceExport>>()));

        // Hosted services stop in the reverse order: requests and jobs first, then workers, then the slots.
        services.AddHostedService(s => s.GetRequiredService<MetricsCollector>());
        services.AddSluiceStorage(redis, share, gatewayId.Value);
        AddAuthentication(services, settings);
        services.AddSluiceDispatch(gatewayId);
        AddPodHost(services, settings);
        services.AddSluiceControlPlane(
            new ManifestOptions(settings.Manifest, Environment.GetEnvironmentVariable, settings.Secrets),
            new GpuInventoryOptions(settings.GpuInventory, settings.NodeName),
            new NodeSettings(settings.NodeName, settings.Host.Registration.Name,
                settings.Host.Registration.Capabilities.Containers, settings.NodeAddress?.ToString()));
        AddForwarding(services);
        AddUserPods(services, settings, data);
        AddJobs(services, settings);
        AddBatches(services, settings);
        AddResponses(services, settings);
    }

    private static void AddResponseFormats(IServiceCollection services)
    {
        services.ConfigureHttpJsonOptions(o =>
        {
            var resolvers = o.SerializerOptions.TypeInfoResolverChain;
            resolvers.Insert(0, ManagementJson.Default);
            resolvers.Insert(1, OpenInferenceJson.Default);
            resolvers.Insert(2, JobResponseJson.Default);
            resolvers.Insert(3, OpenAiJson.Default);
            resolvers.Insert(4, UserPodApiJson.Default);
            resolvers.Insert(5, ModelsJson.Default);
            resolvers.Insert(6, AuditApiJson.Default);
            resolvers.Insert(7, UsageApiJson.Default);
            resolvers.Insert(8, OverviewJson.Default);
            resolvers.Insert(9, LogLevelJson.Default);
        });
        services.AddOpenApi(o => o.AddSchemaTransformer(DeclarationSchemas.TransformAsync));
    }

    private static void AddAuthentication(IServiceCollection services, GatewaySettings settings)
    {
        services.AddSingleton<RateLimits>().AddSingleton<SocketTickets>().AddSingleton<FailedLogins>()
            .AddSingleton<SessionAuthentication>().AddSingleton<SessionsApi>()
            .AddSingleton<ApiKeyAuthenticationMiddleware>();
        services.AddSingleton(s => new StatusPollRateLimiter(settings.PollRate, s.GetRequiredService<GatewayMetrics>(),
            s.GetRequiredService<TimeProvider>()));
        services.AddSingleton(s => new ApiKeyCache(s.GetRequiredService<RedisStore>(), s.GetRequiredService<KeyStore>(),
            settings.AdminKey is { } key ? ApiKeyFormat.Hash(key) : null, s.GetRequiredService<TimeProvider>(),
            s.GetRequiredService<ILogger<ApiKeyCache>>()));
        services.AddSingleton<UsageReader>().AddSingleton<UsageApi>();
        services.AddSingleton<BudgetGuard>().AddSingleton<BudgetWatch>().AddSingleton<BudgetsApi>();
        services.AddHostedService(s => s.GetRequiredService<BudgetGuard>());
        services.AddHostedService(s => s.GetRequiredService<BudgetWatch>());
        services.AddSingleton<UsageRecorder>().AddHostedService(s => s.GetRequiredService<UsageRecorder>());
        services.AddHostedService(s => s.GetRequiredService<ApiKeyCache>()).AddHostedService<KeyUseRecorder>();
        services.AddSingleton<KeysApi>().AddSingleton<AuditMiddleware>().AddSingleton<AuditApi>();
        services.AddSingleton<RefusedLogins>().AddHostedService(s => s.GetRequiredService<RefusedLogins>());
        services.AddSingleton<LogLevelApi>().AddSingleton<LogLevelWatcher>()
            .AddHostedService(s => s.GetRequiredService<LogLevelWatcher>());
    }

    private static void AddPodHost(IServiceCollection services, GatewaySettings settings)
    {
        services.AddSingleton(new StandbySettings(settings.StandbyWorkers));
        services.AddSingleton(new BuiltInWorker([settings.Worker], settings.ModelRepository)
        {
            Environment = settings.WorkerTelemetry,
        });
        services.AddSingleton(settings.Models.Store).AddSingleton(settings.Models.Sources).AddSingleton<ModelStore>();
        services.AddSingleton(settings.Models.Uploads).AddSingleton<UploadStore>().AddSingleton<ModelInspection>()
            .AddSingleton<ModelsApi>().AddHostedService<IncompleteUploadCleaner>();
        services.AddSingleton(settings.Host.Create);
    }

    private static void AddUserPods(IServiceCollection services, GatewaySettings settings, DataFolder data)
    {
        services.AddSingleton(new ProcessPodSettings(settings.ProcessPodTemplates, Path.Combine(data.Path, "pods")));
        services.AddSingleton(settings.PodRouting).AddSingleton(new UserPodOptions(settings.PodRouting.UsesPaths));
        services.AddSingleton(settings.Host.CreateUserPods);
        services.AddSluiceUserPods();
        services.AddSingleton<UserPodConnections>().AddSingleton<UserPodLinks>().AddSingleton<UserPodProxy>();
        services.AddSingleton<UserPodLogs>().AddSingleton<UserPodService>()
            .AddSingleton<UserPodFiguresReader>();
        services.AddSingleton<UserPodsApi>().AddSingleton<RunPodPodsApi>();
        services.AddHostedService(s => s.GetRequiredService<UserPodConnections>());
    }

    private static void AddForwarding(IServiceCollection services)
    {
        services.AddSingleton<TokenCosts>().AddSingleton<PromptEstimates>();
        services.AddSingleton<TokenLimits>().AddSingleton<TokenSettlements>();
        services.AddSingleton(s => new TokenWindow(s.GetRequiredService<RedisStore>())).AddSingleton<WorkerUsage>();
        services.AddSingleton<WorkerClients>().AddSingleton<PooledTimers>().AddSingleton<PrefixPlacement>()
            .AddSingleton<WorkerForwarder>();
        services.AddSingleton<SeriesRecorder>().AddSingleton<SeriesReader>().AddSingleton<SeriesWriter>()
            .AddSingleton<SeriesApi>().AddSingleton<OverviewReader>().AddSingleton<OverviewApi>()
            .AddSingleton<ManagementEventStreams>();
        services.AddHostedService(s => s.GetRequiredService<SeriesWriter>());
        services.AddSingleton<GatewayMetrics>().AddSingleton<MetricsCollector>()
            .AddSingleton<FleetGauges>().AddSingleton<WorkerMetrics>().AddSingleton<Readiness>();
        services.AddSingleton<EndpointRelay>().AddSingleton<GpusApi>();
        services.AddSingleton<CatalogApi>().AddSingleton<DeclarationsApi>().AddSingleton<WorkerLogsApi>();
        services.AddSingleton<ModelVersions>().AddSingleton<ModelStatistics>().AddSingleton<RepositoryApi>();
    }

    private static void AddJobs(IServiceCollection services, GatewaySettings settings)
    {
        services.AddSingleton(new OutboundGuard(settings.WebhookAllow)).AddSingleton<WebhookSender>();
        services.AddSingleton<JobStreamWriter>().AddSingleton<JobAttempt>().AddSingleton<JobRunner>();
        services.AddSingleton(new ByteBudget((long)settings.BodyMemory << 20)).AddSingleton<JobBodyReader>();
        services.AddSingleton<JobReader>().AddSingleton<JobSubmitter>().AddSingleton<CanaryJobs>()
            .AddSingleton<JobStreamApi>().AddSingleton<JobsApi>();
        services.AddHostedService(s => s.GetRequiredService<WebhookSender>());
        services.AddHostedService(s => s.GetRequiredService<JobRunner>());
    }

    private static void AddBatches(IServiceCollection services, GatewaySettings settings)
    {
        services.AddSingleton(settings.Files).AddSingleton(settings.Batches);
        services.AddSingleton<BatchFiles>().AddSingleton<BatchLineRunner>().AddSingleton<BatchServices>();
        services.AddSingleton<BatchScheduler>().AddSingleton<FilesApi>().AddSingleton<BatchesApi>();
        services.AddHostedService(s => s.GetRequiredService<BatchScheduler>());
    }

    private static void AddResponses(IServiceCollection services, GatewaySettings settings)
    {
        services.AddSingleton(settings.Responses).AddSingleton<ResponseStore>().AddSingleton<StoredResponses>();
        services.AddSingleton<BackgroundResponses>().AddSingleton<ResponseStream>();
        services.AddSingleton<ResponseCreation>().AddSingleton<ResponsesApi>();
    }

    [LoggerMessage(LogLevel.Warning,
        "SLUICE_DATA may be accessible to other users: the file mode cannot be changed. {Entry}")]
    private static partial void DataFolderOpenToOthers(ILogger logger, string entry);

    [LoggerMessage(LogLevel.Critical, "The gateway stops: {Reason}")]
    private static partial void SchemaVersionUnsupported(ILogger logger, string reason);

    [LoggerMessage(LogLevel.Warning, "Setting has no effect: {Setting}")]
    private static partial void SettingIgnored(ILogger logger, string setting);
}
