using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>Faults of whoever scales: rows S of the fault matrix. What counts are the processes that the machine runs, not what anybody
/// says of them.</summary>
[Trait("Part", "leases")]
public sealed class LeaderFaultsTest : IAsyncLifetime
{
    private const int Max = 3;

    private readonly JobCluster cluster = new();

    public ValueTask InitializeAsync() => cluster.Redis.InitializeAsync();

    public async ValueTask DisposeAsync()
    {
        await cluster.DisposeAsync();
    }

    /// <summary>SLUICE_TEST_LEADERS_SECONDS: the long form.</summary>
    [Trait("Fault", "S1")]
    [Fact]
    public async Task Two_that_believe_to_lead_never_run_more_workers_than_the_maximum()
    {
        var length = TimeSpan.FromSeconds(Environment.GetEnvironmentVariable("SLUICE_TEST_LEADERS_SECONDS") is { } s
            ? double.Parse(s, CultureInfo.InvariantCulture) : 12);
        GatewayProcess[] gateways = [await StartAsync(), await StartAsync()];
        await using var a = gateways[0];
        await using var b = gateways[1];
        var jobs = new Jobs(b);
        // More than the maximum can take, for longer than the test.
        var ids = await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => jobs.RunAsync(JsonNode.Parse("""{"do":"sleep","ms":600000}""")!)));
        await Eventually.HoldsAsync(() => Workers().Count == Max);

        using var end = new CancellationTokenSource();
        var (samples, most, seen) = (0, 0, new HashSet<int>());
        var sampling = Task.Run(() =>
        {
            var stop = end.Token;
            while (!stop.IsCancellationRequested)
            {
                var now = Workers();
                (samples, most) = (samples + 1, Math.Max(most, now.Count));
                seen.UnionWith(now);
            }
        });
        var db = cluster.Redis.Store.Database;
        var started = Stopwatch.GetTimestamp();
        for (var round = 0; Stopwatch.GetElapsedTime(started) < length && most <= Max; round++)
        {
            // Both by turns: one that stands still for longer than its lease and then goes on, and one whose lease another one took.
            var stalled = gateways[round % 2];
            stalled.Process.Signal(Sigstop);
            try
            {
                await db.KeyDeleteAsync("sluice:{leader}:holder");
                await Eventually.HoldsAsync(async () => await db.KeyExistsAsync("sluice:{leader}:holder"));
                if (Workers() is [var victim, ..]) ChildProcess.Signal(victim, ChildProcess.Sigkill);
                await db.KeyDeleteAsync("sluice:{leader}:holder");
            }
            finally
            {
                stalled.Process.Signal(Sigcont);
            }

            await Eventually.HoldsAsync(() => Workers().Count == Max);
        }

        await end.CancelAsync();
        await sampling;
        FaultMatrix.Seen("S1", $"{samples} samples in {length.TotalSeconds:0} s, {seen.Count} workers one after another, at most {most} at once (maximum {Max})");
        Assert.Equal(Max, most);
        Assert.True(seen.Count > Max, "no worker was ever replaced");
        foreach (var id in ids) (await jobs.PostAsync($"cancel/{id}")).Dispose();
        await jobs.QuietAsync();
    }

    [Trait("Fault", "S2")]
    [Fact]
    public async Task When_leaders_are_killed_one_after_another_the_target_is_reached_each_time()
    {
        var gateways = new List<GatewayProcess>();
        try
        {
            for (var i = 0; i < 2; i++) gateways.Add(await StartAsync("min: 2"));
            var seconds = new List<double>();
            for (var round = 0; round < 3; round++)
            {
                await Eventually.HoldsAsync(async () => (await gateways[^1].WorkersAsync("stub", "ready")).Count == 2);
                var host = (string)(await gateways[^1].WorkersAsync("stub", "ready"))[0]["host"]!;
                var leader = gateways.First(g => IsHost(g, host));
                var started = Stopwatch.GetTimestamp();
                leader.Process.Signal(ChildProcess.Sigkill);
                gateways.Remove(leader);
                await leader.DisposeAsync();
                await Eventually.HoldsAsync(() => Workers().Count == 0);
                await Eventually.HoldsAsync(async () => Workers().Count == 2 && (await gateways[^1].WorkersAsync("stub", "ready")).Count == 2);
                seconds.Add(Stopwatch.GetElapsedTime(started).TotalSeconds);
                gateways.Add(await StartAsync("min: 2"));
            }

            var told = string.Join(", ", seconds.Select(s => s.ToString("0.0", CultureInfo.InvariantCulture)));
            FaultMatrix.Seen("S2", $"the target of 2 was reached again after {told} s");
        }
        finally
        {
            foreach (var gateway in gateways) await gateway.DisposeAsync();
        }
    }

    [Fact]
    public async Task Requests_that_find_only_workers_of_a_gateway_that_was_killed_wait_for_the_next_ones_however_many_those_are()
    {
        GatewayProcess[] gateways = [await StartAsync("min: 3"), await StartAsync("min: 3")];
        await using var a = gateways[0];
        await using var b = gateways[1];
        // As many as a request may be sent to.
        await Eventually.HoldsAsync(async () => (await b.WorkersAsync("stub", "ready")).Count == Max);
        var host = (string)(await b.WorkersAsync("stub", "ready"))[0]["host"]!;
        var (leader, other) = IsHost(a, host) ? (a, b) : (b, a);
        leader.Process.Signal(ChildProcess.Sigkill);
        await leader.Process.ExitAsync();
        await Eventually.HoldsAsync(() => Workers().Count == 0);

        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(async n =>
        {
            using var body = new StringContent($$"""{"id":"r{{n}}","attempt":1,"input":1}""");
            using var answer = await other.Client.PostAsync(new Uri("/e/stub/run", UriKind.Relative), body);
            return answer.StatusCode;
        }));
        Assert.All(answers, status => Assert.Equal(HttpStatusCode.OK, status));
    }

    [Trait("Fault", "S6")]
    [Fact]
    public async Task Workers_that_redis_forgot_are_known_again_without_a_restart_and_serve()
    {
        await using var gateway = await StartAsync("min: 2");
        await Eventually.HoldsAsync(async () => (await gateway.WorkersAsync("stub", "ready")).Count == 2);
        var before = Workers();
        await cluster.Redis.Store.Database.ExecuteAsync("FLUSHALL");
        await Eventually.HoldsAsync(async () => await ReadyAsync(gateway) == 2);
        Assert.Equal(before, Workers());
        // The manifest is declared again by another loop. Before that, the gateway may answer from its memory, and notice
        // the loss later.
        await Eventually.HoldsAsync(() => cluster.Redis.Store.Database.KeyExistsAsync("sluice:{catalog}:endpoints"));
        await Eventually.HoldsAsync(async () =>
        {
            using var declared = await gateway.Client.GetAsync(new Uri("/api/v1/endpoints/stub", UriKind.Relative));
            return declared.StatusCode == HttpStatusCode.OK;
        });
        Assert.Equal("COMPLETED", (string?)(await new Jobs(gateway).RunSyncAsync(1))["status"]);
    }

    [Fact]
    public async Task A_declaration_that_is_taken_back_finds_the_workers_that_still_drain_and_no_request_fails()
    {
        await using var gateway = await StartAsync();
        var jobs = new Jobs(gateway);
        var old = await jobs.RunAsync(JsonNode.Parse("""{"do":"sleep","ms":600000}""")!);
        await jobs.StatusAsync(old, "IN_PROGRESS");
        var first = Workers();
        using var end = new CancellationTokenSource();
        var statuses = new ConcurrentDictionary<HttpStatusCode, int>();
        var asking = Task.Run(async () =>
        {
            for (var n = 0; !end.IsCancellationRequested; n++)
            {
                using var answer = await gateway.Client.PostAsync(new Uri("/e/stub/run", UriKind.Relative), new StringContent($$"""{"id":"r{{n}}","attempt":1,"input":1}"""));
                statuses.AddOrUpdate(answer.StatusCode, 1, (_, count) => count + 1);
            }
        });

        var manifest = await File.ReadAllTextAsync(gateway.ManifestPath);
        await File.WriteAllTextAsync(gateway.ManifestPath, manifest.Replace("STUB_LOG:", "ANOTHER: declaration, STUB_LOG:", StringComparison.Ordinal));
        await Eventually.HoldsAsync(async () => (await gateway.WorkersAsync("stub", "draining")).Count == 1
            && (await gateway.WorkersAsync("stub", "ready")).Count == 1);
        await File.WriteAllTextAsync(gateway.ManifestPath, manifest);
        await Eventually.HoldsAsync(() => Workers().SequenceEqual(first));
        await end.CancelAsync();
        await asking;

        Assert.Equal(HttpStatusCode.OK, Assert.Single(statuses).Key);
        Assert.Equal("IN_PROGRESS", (string?)(await jobs.GetAsync($"status/{old}"))["status"]);
        Assert.Equal(first[0], (int)Assert.Single(await gateway.WorkersAsync("stub", "ready"))["processId"]!);
        (await jobs.PostAsync($"cancel/{old}")).Dispose();
        await jobs.QuietAsync();
    }

    private const int Sigstop = 19;
    private const int Sigcont = 18;

    private Task<GatewayProcess> StartAsync(string scaling = "min: 0") => cluster.StartAsync(manifest:
        Jobs.Manifest(cluster.Log, max: Max, concurrency: 8, more: "jobs: { maxRuns: 100 }", scaling: $", {scaling}"));

    private List<int> Workers() => StubProcesses.Of(cluster.Log);

    private static bool IsHost(GatewayProcess gateway, string hostId) =>
        File.ReadAllText(Path.Combine(gateway.Folder, "data", "host-id")).Trim() == hostId;

    private static async Task<int> ReadyAsync(GatewayProcess gateway)
    {
        using var answer = await gateway.Client.GetAsync(new Uri("/api/v1/endpoints/stub/workers", UriKind.Relative));
        return answer.StatusCode != HttpStatusCode.OK ? 0
            : JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["workers"]!.AsArray().Count(w => (string?)w!["state"] == "ready");
    }
}
