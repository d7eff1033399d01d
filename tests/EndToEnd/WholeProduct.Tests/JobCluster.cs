using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>A Redis server, a payload folder, a log of executions, and the gateways that share them.</summary>
internal sealed class JobCluster : IAsyncDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-payloads-").FullName;

    public RedisFixture Redis { get; } = new();

    public string Log { get; } = Path.GetTempFileName();

    public string Payloads => folder;

    /// <summary>Starts a gateway of the cluster.</summary>
    /// <param name="port">The port at which the gateway connects to Redis. Null: the port of Redis itself.</param>
    /// <param name="more">Additional environment variables.</param>
    /// <param name="manifest">The manifest. Null: one worker whose jobs may lose many attempts.</param>
    public Task<GatewayProcess> StartAsync(int? port = null, Dictionary<string, string?>? more = null,
        string? manifest = null)
    {
        var environment = new Dictionary<string, string?>
        {
            ["SLUICE_REDIS"] = $"127.0.0.1:{port ?? Redis.Port},password={RedisFixture.Password}",
            ["SLUICE_ADMIN_KEY"] = "one-admin-key-of-all-gateways",
            ["SLUICE_PAYLOADS"] = folder,
            ["SLUICE_WEBHOOK_ALLOW"] = "127.0.0.0/8",
        };
        foreach (var (name, value) in more ?? []) environment[name] = value;
        return GatewayProcess.StartAsync(manifest ?? Jobs.Manifest(Log, max: 1, concurrency: 8,
            more: "jobs: { maxRuns: 20 }"), environment: environment);
    }

    public async ValueTask DisposeAsync()
    {
        await Redis.DisposeAsync();
        StubLog.Delete(Log);
        Directory.Delete(folder, recursive: true);
    }
}
