using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Sluice.ControlPlane.Manifests;
using Sluice.Domain.Fleet;
using Sluice.Gateway.Startup;
using Sluice.Storage.Fleet;
using Sluice.Storage.Jobs;
using Sluice.Storage.Redis;
using Sluice.Testing;
using StackExchange.Redis;

namespace Sluice.InProcess.Tests;

/// <summary>
/// The real gateway in the process of the tests: its own application with Kestrel on loopback, on a real Redis server.
/// Its workers are processes. What <c>Program</c> does before the application is built is not part of it.
/// </summary>
public sealed class InProcessGateway : RunningGateway, IAsyncDisposable
{
    private readonly RedisFixture redis;
    private readonly bool ownsRedis;
    private readonly IReadOnlyDictionary<string, string?> settings;
    private readonly ActiveSchema? schema;
    private DataFolder? data;
    private RedisConnection? connection;
    private WebApplication? app;

    private InProcessGateway(
        IReadOnlyDictionary<string, string?>? environment, RedisFixture? shared, ActiveSchema? schema = null)
        : base(Directory.CreateTempSubdirectory("sluice-gateway-").FullName)
    {
        settings = Settings(environment);
        ownsRedis = shared is null;
        redis = shared ?? new RedisFixture();
        this.schema = schema;
    }

    /// <summary>The log entries of the gateway, over its restarts.</summary>
    public LogEvents Log { get; } = new();

    /// <summary>The parts of the gateway.</summary>
    public IServiceProvider Services => app!.Services;

    /// <summary>The keys of the gateway.</summary>
    public IDatabase Database => redis.Store.Database;

    /// <summary>Settings with the published worker, for the sample models. Such tests have the trait
    /// <c>Needs=publish</c>.</summary>
    public static Dictionary<string, string?> WithWorker() => new() { ["SLUICE_WORKER"] = Repository.Worker };

    /// <summary>Starts Redis and the gateway, and waits until the manifest is declared.</summary>
    /// <param name="manifest">The manifest.</param>
    /// <param name="environment">Additional settings, as environment variables.</param>
    /// <param name="redis">A Redis that the caller has started; null: a new one.</param>
    /// <param name="schema">The versions of the data that the gateway supports; null: those of this build.</param>
    public static async Task<InProcessGateway> StartAsync(
        string manifest,
        IReadOnlyDictionary<string, string?>? environment = null,
        RedisFixture? redis = null,
        ActiveSchema? schema = null)
    {
        var gateway = new InProcessGateway(environment, redis, schema);
        await File.WriteAllTextAsync(gateway.ManifestPath, manifest);
        if (redis is null) await gateway.redis.InitializeAsync();
        await gateway.StartAsync();
        return gateway;
    }

    /// <summary>Starts another gateway on the Redis, the payload folder and the keys of this one.</summary>
    /// <param name="environment">Settings that differ, as environment variables.</param>
    public async Task<InProcessGateway> StartAnotherAsync(IReadOnlyDictionary<string, string?>? environment = null)
    {
        var more = new Dictionary<string, string?>(settings)
        {
            ["SLUICE_PAYLOADS"] = GatewaySettings.Read(settings.GetValueOrDefault).Payloads,
        };
        foreach (var (name, value) in environment ?? new Dictionary<string, string?>()) more[name] = value;
        more.Remove("SLUICE_DATA");
        more.Remove("SLUICE_MANIFEST");
        var gateway = new InProcessGateway(more, redis);
        File.Copy(ManifestPath, gateway.ManifestPath);
        await gateway.StartAsync();
        gateway.Key = Key;
        gateway.Client.Dispose();
        gateway.Client = gateway.ClientFor(Key);
        return gateway;
    }

    /// <summary>Stops the gateway, and starts it again on the same data.</summary>
    public async Task RestartAsync()
    {
        await StopAsync();
        await StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        if (ownsRedis) await redis.DisposeAsync();
        Directory.Delete(Folder, recursive: true);
    }

    private async Task StartAsync()
    {
        var read = GatewaySettings.Read(settings.GetValueOrDefault);
        data = new DataFolder(read.Data);
        connection = await RedisSetup.ConnectAsync(
            redis.ConnectionString, ChildProcess.Patience, TimeProvider.System, NullLogger.Instance);
        var store = new RedisStore(connection)
        {
            Schema = new ActiveSchema(schema?.Supported, schema?.Waits),
        };
        await new SchemaStore(store).JoinAsync(data.Host.Value, Leases.Host, CancellationToken.None);
        var share = new PayloadShare(store, read.Payloads);
        await share.CheckAsync();
        app = GatewayHost.Build(read, data, store, share, l => l.ClearProviders().AddProvider(Log));
        await app.StartAsync();
        Key = await StartupBanner.FirstKeyAsync(app.Services, read, TimeProvider.System) ?? Key;
        await app.Services.GetRequiredService<ManifestLoop>().FirstLook.WaitAsync(ChildProcess.Patience);
        Url = new Uri(app.Urls.First());
        Client = ClientFor(Key);
    }

    /// <summary>Stops the gateway. Its Redis and its folder stay.</summary>
    public async Task StopAsync()
    {
        Client?.Dispose();
        if (app is not null)
        {
            await app.StopAsync();
            await app.DisposeAsync();
            app = null;
        }

        if (connection is not null)
        {
            await connection.DisposeAsync();
            connection = null;
        }

        data?.Dispose();
        data = null;
    }
}
