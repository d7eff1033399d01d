using System.Net.Sockets;
using Sluice.Domain.Fleet;
using Sluice.Gateway.Startup;
using Sluice.Shared;
using Sluice.Storage.Catalog;
using Sluice.Storage.Embedded;
using Sluice.Storage.Fleet;
using Sluice.Storage.Jobs;
using Sluice.Storage.Redis;
using StackExchange.Redis;

// Starts the gateway process: reads the settings, connects to Redis (a child process unless SLUICE_REDIS is set), and
// starts the application that GatewayHost builds.
const int CannotRun = 2;
const int ServiceFailed = 1;
ProcessHardening.Apply();
PrivateFiles.RestrictProcess();
try
{
    if (CommandLine.Answer(args) is { } answer) return await answer.WriteAsync();
    var settings = GatewaySettings.Read(Environment.GetEnvironmentVariable,
        Environment.GetEnvironmentVariables().Keys.Cast<string>());
    if (args is ["health"]) return await HealthCommand.RunAsync(settings);
    ListenAddresses.Check(settings.Urls);
    using var logs = GatewayHost.CreateLogging(settings);
    using var data = new DataFolder(settings.Data);
    using var embedded = settings.Redis is null
        ? new EmbeddedRedis(Path.Combine(data.Path, "redis"), logs.CreateLogger<EmbeddedRedis>()) : null;
    if (embedded is not null) await embedded.StartAsync();
    var address = settings.Redis ?? embedded!.ConnectionString;
    var log = logs.CreateLogger("Sluice.Gateway.Redis");
    var patience = TimeSpan.FromSeconds(60);
    await using var redis = await RedisSetup.ConnectAsync(address, patience, TimeProvider.System, log);
    await RedisSetup.WaitAsync(redis, address, patience, TimeProvider.System, log);
    await RedisSetup.CheckAsync(redis, address, TimeProvider.System, log);
    await using var waiting = settings.RedisWaitReplicas == 0 ? null
        : await RedisSetup.OpenAsync(address, patience, TimeProvider.System, log);
    var store = new RedisStore(redis, embedded is null ? null : () => embedded.DiskIsFull,
        waiting is null ? null : new ReplicatedWrites(waiting, settings.RedisWaitReplicas));
    await JobSchemaVersion.CheckAsync(store, await new CatalogStore(store).EndpointsAsync());
    // The announcement must precede everything that uses the data.
    await new SchemaStore(store).JoinAsync(data.Host.Value, Leases.Host, CancellationToken.None);
    var share = new PayloadShare(store, settings.Payloads);
    await share.CheckAsync();
    await using var app = GatewayHost.Build(settings, data, store, share);
    await app.StartAsync();
    await StartupBanner.PrintAsync(app, settings);
    await app.WaitForShutdownAsync();
    // Otherwise Dispose waits for responses to pending commands, which are no longer needed.
    await redis.CloseAsync();
    if (store.Schema.Unsupported.IsCompleted) return CannotRun;
    return ServiceFailures.GetNames(app.Services) is { Count: 0 } ? 0 : ServiceFailed;
}
catch (Exception e)
    when (e is InvalidOperationException or IOException or SocketException or RedisException or TimeoutException)
{
    await Console.Error.WriteLineAsync($"sluice: {e.Message}");
    return CannotRun;
}
