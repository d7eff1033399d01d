using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Sluice.Testing;

namespace Sluice.Hosts.Tests.Kubernetes;

/// <summary>Complete gateways on one Redis, with their workers in the pods of a stub cluster.</summary>
public sealed class KubernetesGatewayTest : IAsyncLifetime
{
    private const string Key = "an-admin-key-of-these-tests";

    private static readonly string Digit = GatewayProcess.Example("digits");

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-k8s-gateway-").FullName;
    private readonly RedisFixture redis = new();
    private StubKubernetes cluster = null!;

    public async ValueTask InitializeAsync()
    {
        await redis.InitializeAsync();
        cluster = await StubKubernetes.StartAsync();
        cluster.Kubelet.Claims["models"] = Repository.Models;
    }

    public async ValueTask DisposeAsync()
    {
        await cluster.DisposeAsync();
        await redis.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task The_workers_of_a_killed_gateway_serve_on_and_are_taken_over_once()
    {
        var first = await StartAsync("killed", "first");
        await using var second = await StartAsync("killed", "second");
        Assert.Equal(HttpStatusCode.OK, await AskAsync(second, "killed"));
        var worker = Assert.Single(await second.WorkersAsync("killed", "ready"));
        Assert.Equal($"pod sluice-{worker["id"]}", (string?)worker["runsAs"]);
        Assert.Equal(["placed", "create", "schedule", "start", "spawn"],
            worker["stages"]!.AsArray().Select(s => (string)s!["name"]!).Take(5));

        using var stop = new CancellationTokenSource();
        var answers = new ConcurrentBag<HttpStatusCode>();
        var load = Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested) answers.Add(await AskAsync(second, "killed"));
        })).ToArray();
        first.Process.Signal(ChildProcess.Sigkill);
        await first.Process.ExitAsync();
        // One of the two gateways ordered the worker. The other one may have it already.
        await Eventually.HoldsAsync(async () => await second.WorkersAsync("killed") is [var only]
            && (string?)only["host"] == await HostAsync("second"), "the second gateway has the worker");
        await stop.CancelAsync();
        await Task.WhenAll(load);
        Assert.All(answers, a => Assert.Equal(HttpStatusCode.OK, a));
        Assert.Equal((string?)worker["id"], (string?)Assert.Single(await second.WorkersAsync("killed"))["id"]);
        Assert.Equal(1, cluster.Kubelet.Starts[$"sluice-{worker["id"]}"]);
        Assert.Single(cluster.Objects.List("pods"));
        await first.DisposeAsync();
    }

    [Fact]
    public async Task A_gateway_that_was_paused_releases_its_workers_to_the_new_leader()
    {
        await using var first = await StartAsync("paused", "first");
        Assert.Equal(HttpStatusCode.OK, await AskAsync(first, "paused"));
        var worker = (string)Assert.Single(await first.WorkersAsync("paused", "ready"))["id"]!;
        await using var second = await StartAsync("paused", "second");
        first.Process.Signal(ChildProcess.Sigstop);
        await second.EventAsync("WorkerTakenOver", 0, ("Worker", worker));
        first.Process.Signal(ChildProcess.Sigcont);
        await first.EventAsync("WorkerReleased", 0, ("Worker", worker));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(first, "paused"));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(second, "paused"));
        Assert.Equal(worker, (string?)Assert.Single(await second.WorkersAsync("paused"))["id"]);
        Assert.Equal(1, cluster.Kubelet.Starts[$"sluice-{worker}"]);
    }

    [Fact]
    public async Task Workers_of_a_gateway_that_stops_are_taken_over_before_its_lease_would_expire()
    {
        var first = await StartAsync("stopped", "first");
        Assert.Equal(HttpStatusCode.OK, await AskAsync(first, "stopped"));
        await using var second = await StartAsync("stopped", "second");
        first.Process.Signal(ChildProcess.Sigterm);
        Assert.Equal(0, await first.Process.ExitAsync());
        await second.EventAsync("WorkerTakenOver");
        Assert.Equal(HttpStatusCode.OK, await AskAsync(second, "stopped"));
        Assert.Single(cluster.Objects.List("pods"));
        await first.DisposeAsync();
    }

    [Fact]
    public async Task A_worker_that_is_evicted_under_load_costs_no_request_and_is_replaced()
    {
        await using var gateway = await StartAsync("evicted", "first");
        Assert.Equal(HttpStatusCode.OK, await AskAsync(gateway, "evicted"));
        var worker = (string)Assert.Single(await gateway.WorkersAsync("evicted", "ready"))["id"]!;
        using var stop = new CancellationTokenSource();
        var answers = new ConcurrentBag<HttpStatusCode>();
        var load = Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested) answers.Add(await AskAsync(gateway, "evicted"));
        })).ToArray();
        await MoreAsync(answers);
        cluster.Kubelet.Evict($"sluice-{worker}", "EvictionByEvictionAPI", "Eviction API: evicting");
        var leaves = await gateway.EventAsync("WorkerLeaves");
        Assert.StartsWith("evicted, for example because its node is drained", leaves["Why"], StringComparison.Ordinal);
        await Eventually.HoldsAsync(async () => await gateway.WorkersAsync("evicted", "ready") is [var next]
            && (string?)next["id"] != worker, "another worker is ready");
        await MoreAsync(answers);
        await stop.CancelAsync();
        await Task.WhenAll(load);
        Assert.All(answers, a => Assert.Equal(HttpStatusCode.OK, a));
        Assert.DoesNotContain(gateway.Events, e => e.Is("WorkerFailed"));
    }

    private async Task<string> HostAsync(string gateway) =>
        (await File.ReadAllTextAsync(Path.Combine(folder, gateway, "data", "host-id"))).Trim();

    private Task<GatewayProcess> StartAsync(string endpoint, string name)
    {
        var own = Directory.CreateDirectory(Path.Combine(folder, name)).FullName;
        return GatewayProcess.StartAsync($$"""
            templates:
              - { name: onnx }
            endpoints:
              - { id: {{endpoint}}, template: onnx, models: [digits], scaling: { max: 1, idleTimeout: 60s } }

            """, own, new Dictionary<string, string?>
        {
            ["SLUICE_ADMIN_KEY"] = Key,
            ["SLUICE_REDIS"] = redis.ConnectionString,
            ["SLUICE_PAYLOADS"] = Path.Combine(folder, "payloads"),
            ["SLUICE_POD_HOST"] = "kubernetes",
            ["SLUICE_KUBERNETES_CONFIG"] = cluster.Config,
            ["SLUICE_KUBERNETES_MODELS"] = "models",
        });
    }

    private static async Task MoreAsync(ConcurrentBag<HttpStatusCode> answers)
    {
        var before = answers.Count;
        await Eventually.HoldsAsync(() => answers.Count >= before + 100, "a hundred more answers");
    }

    private static async Task<HttpStatusCode> AskAsync(GatewayProcess gateway, string endpoint)
    {
        using var body = new StringContent(Digit, Encoding.UTF8, "application/json");
        using var answer = await gateway.Client.PostAsync(
            new Uri($"/e/{endpoint}/v2/models/digits/infer", UriKind.Relative), body);
        return answer.StatusCode;
    }
}
