using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>The primary of Redis is killed under jobs and requests, and Sentinels promote a replica.</summary>
[Trait("Matrix", "fault")]
[Trait("Part", "leases")]
public sealed class RedisFailoverTest : IAsyncLifetime
{
    private const int Submitters = 4;

    /// <summary>The jobs that are accepted before each failover, and after the last one.</summary>
    private const int Each = 100;

    private readonly string payloads = Directory.CreateTempSubdirectory("sluice-payloads-").FullName;
    private readonly string log = Path.GetTempFileName();
    private readonly ConcurrentBag<string> accepted = [];
    private ReplicatedRedis redis = null!;
    private int refused;
    private int answered;

    public async ValueTask InitializeAsync() => redis = await ReplicatedRedis.StartAsync(replicas: 2, sentinels: 3);

    public async ValueTask DisposeAsync()
    {
        await redis.DisposeAsync();
        StubLog.Delete(log);
        Directory.Delete(payloads, recursive: true);
    }

    [Trait("Fault", "R14")]
    [Fact]
    public async Task A_job_that_a_replica_has_survives_the_failover_by_Sentinels_and_ends()
    {
        await using var gateway = await GatewayProcess.StartAsync(
            Jobs.Manifest(log, max: 1, concurrency: 8, more: "jobs: { maxRuns: 20 }"),
            environment: new Dictionary<string, string?>
            {
                ["SLUICE_REDIS"] = redis.ConnectionString,
                ["SLUICE_REDIS_WAIT_REPLICAS"] = "1",
                ["SLUICE_PAYLOADS"] = payloads,
            });
        var jobs = new Jobs(gateway);
        await jobs.RunSyncAsync(1);
        using var stop = new CancellationTokenSource();
        var load = Task.WhenAll([
            .. Enumerable.Range(0, Submitters).Select(_ => SubmitAsync(jobs, stop.Token)),
            SendRequestsAsync(gateway, stop.Token),
        ]);
        var failovers = FaultMatrix.Count(some: 1, whole: 5);
        for (var failover = 0; failover < failovers; failover++)
        {
            await AcceptsAsync(load);
            var failed = await redis.KillPrimaryAsync();
            await redis.PromotedAsync(failed);
            await AcceptsAsync(load);
            if (failover + 1 < failovers) await ReplicatedRedis.ReturnAsync(failed);
        }

        await stop.CancelAsync();
        await load;
        foreach (var id in accepted) Assert.Equal("COMPLETED", (string?)(await jobs.EndAsync(id))["status"]);
        Assert.Equal(accepted.Count, accepted.Distinct().Count());
        await jobs.QuietAsync();
        FaultMatrix.Seen("R14", $"{failovers} failovers, {accepted.Count} of {accepted.Count} accepted jobs COMPLETED ",
            $"({refused} submissions got 503); {answered} requests answered, 0 failed");
    }

    private Task AcceptsAsync(Task load)
    {
        var before = accepted.Count;
        return Eventually.HoldsAsync(
            async () =>
            {
                // A failed assertion of the load is the reason why no more jobs are accepted.
                if (load.IsFaulted) await load;
                return accepted.Count >= before + Each;
            },
            "jobs are accepted");
    }

    private async Task SubmitAsync(Jobs jobs, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            using var answer = await jobs.PostAsync("run", Jobs.Body(JsonNode.Parse("""{"do":"sleep","ms":5}""")!));
            if (answer.IsSuccessStatusCode)
            {
                accepted.Add((string)JsonNode.Parse(await answer.Content.ReadAsStringAsync(stop))!["id"]!);
                continue;
            }

            Assert.Equal(503, (int)answer.StatusCode);
            Assert.NotNull(answer.Headers.RetryAfter);
            Interlocked.Increment(ref refused);
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, CancellationToken.None);
        }
    }

    /// <summary>Sends requests that are not jobs. Each has an answer: 200, or 503 while Redis is away.</summary>
    private async Task SendRequestsAsync(GatewayProcess gateway, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            using var answer = await gateway.Client.PostAsync(new Uri("/e/stub/run", UriKind.Relative),
                new StringContent("""{"id":"direct","attempt":1,"input":{"do":"sleep","ms":5}}"""),
                CancellationToken.None);
            Assert.True((int)answer.StatusCode is 200 or 503, $"{(int)answer.StatusCode}");
            if (answer.IsSuccessStatusCode) answered++;
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, CancellationToken.None);
        }
    }
}
