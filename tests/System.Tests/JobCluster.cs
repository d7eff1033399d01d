using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>A Redis, a folder of payloads and a log of executions, and gateways that share them.</summary>
internal sealed class JobCluster : IAsyncDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-payloads-").FullName;

    public RedisFixture Redis { get; } = new();

    public string Log { get; } = Path.GetTempFileName();

    public string Payloads => folder;

    /// <summary>Starts one of its gateways.</summary>
    /// <param name="port">Where it finds Redis; null: Redis' own.</param>
    /// <param name="more">Environment beside the cluster's.</param>
    /// <param name="manifest">What it declares; null: one worker that may lose jobs often.</param>
    public Task<GatewayProcess> StartAsync(int? port = null, Dictionary<string, string?>? more = null, string? manifest = null)
    {
        var environment = new Dictionary<string, string?>
        {
            ["SLUICE_REDIS"] = $"127.0.0.1:{port ?? Redis.Port},password={RedisFixture.Password}",
            ["SLUICE_ADMIN_KEY"] = "one-admin-key-of-all-gateways",
            ["SLUICE_PAYLOADS"] = folder,
            ["SLUICE_WEBHOOK_ALLOW"] = "127.0.0.0/8",
        };
        foreach (var (name, value) in more ?? []) environment[name] = value;
        return GatewayProcess.StartAsync(manifest ?? Jobs.Manifest(Log, max: 1, concurrency: 8, more: "jobs: { maxRuns: 20 }"), environment: environment);
    }

    public async ValueTask DisposeAsync()
    {
        await Redis.DisposeAsync();
        StubLog.Delete(Log);
        Directory.Delete(folder, recursive: true);
    }
}
