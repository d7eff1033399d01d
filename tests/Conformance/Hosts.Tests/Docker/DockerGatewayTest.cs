using System.Collections.Concurrent;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.Hosts.Tests.Docker;

/// <summary>The complete gateway with its workers in containers.</summary>
[Collection("docker")]
public sealed class DockerGatewayTest(DockerDaemon daemon) : IAsyncLifetime
{
    private const string Key = "an-admin-key-of-these-tests";

    private static readonly string Digit = GatewayProcess.Example("digits");

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-docker-gateway-").FullName;

    public ValueTask InitializeAsync()
    {
        Require.Available(DockerDaemon.WhyNot);
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        var containers = (await ContainersAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        foreach (var left in containers) await daemon.DockerAsync("rm", "-f", left);
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task A_request_starts_a_container_from_zero_and_the_container_is_removed_when_it_is_idle()
    {
        await using var gateway = await StartAsync(Manifest("10m"));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(gateway));

        var worker = Assert.Single(await gateway.WorkersAsync("digits", "ready"));
        Assert.StartsWith("container ", (string)worker["runsAs"]!, StringComparison.Ordinal);
        var stages = worker["stages"]!.AsArray().Select(s => (string)s!["name"]!).ToList();
        Assert.Equal(["placed", "create", "start", "spawn"], stages.Take(4));
        Assert.Contains("model", stages);
        await File.WriteAllTextAsync(gateway.ManifestPath, Manifest("1500ms"));
        var stopped = await gateway.EventAsync("WorkerStopped", 0, ("Endpoint", "digits"));
        Assert.StartsWith("exit code 0", stopped["Why"], StringComparison.Ordinal);
        await Eventually.HoldsAsync(async () => await ContainersAsync() == "", "no container is left");
    }

    [Fact]
    public async Task The_next_gateway_adopts_the_workers_of_a_killed_one_even_after_redis_lost_all_data()
    {
        string worker;
        await using (var first = await StartAsync(Manifest("60s")))
        {
            Assert.Equal(HttpStatusCode.OK, await AskAsync(first));
            worker = (string)(await first.WorkersAsync("digits", "ready"))[0]["id"]!;
            first.Process.Signal(ChildProcess.Sigkill);
            await first.Process.ExitAsync();
        }

        var container = await ContainersAsync();
        await using (var second = await StartAsync(null))
        {
            await second.EventAsync("WorkerAdopted", 0, ("State", "Ready"));
            Assert.Equal(HttpStatusCode.OK, await AskAsync(second));
            Assert.Equal(worker, (string?)(await second.WorkersAsync("digits", "ready"))[0]["id"]);
            second.Process.Signal(ChildProcess.Sigkill);
            await second.Process.ExitAsync();
        }

        Directory.Delete(Path.Combine(folder, "data", "redis"), recursive: true);
        await using (var third = await StartAsync(null))
        {
            await third.EventAsync("WorkerAdopted", 0, ("State", "Starting"));
            Assert.Equal(HttpStatusCode.OK, await AskAsync(third));
            Assert.Equal(worker, (string?)Assert.Single(await third.WorkersAsync("digits"))["id"]);
            Assert.Equal(container, await ContainersAsync());
            third.Process.Signal(ChildProcess.Sigkill);
            await third.Process.ExitAsync();
        }

        // No declaration contains the endpoint any more, so its orphaned container is removed.
        await using var last = await StartAsync("templates: []\nendpoints: []\n");
        await Eventually.HoldsAsync(async () => await ContainersAsync() == "", "no container is left");
    }

    [Fact]
    public async Task A_daemon_that_is_killed_and_restarted_under_load_costs_no_request_and_no_worker()
    {
        await using var gateway = await StartAsync(Manifest("60s", max: 1));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(gateway));
        var before = await gateway.WorkersAsync("digits", "ready");

        using var stop = new CancellationTokenSource();
        var answers = new ConcurrentBag<HttpStatusCode>();
        var load = Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested) answers.Add(await AskAsync(gateway));
        })).ToArray();
        await MoreAsync(answers);
        await daemon.KillAsync();
        await MoreAsync(answers);
        await daemon.StartAsync();
        await MoreAsync(answers);
        await stop.CancelAsync();
        await Task.WhenAll(load);

        Assert.All(answers, a => Assert.Equal(HttpStatusCode.OK, a));
        Assert.Equal((string?)before[0]["id"], (string?)Assert.Single(await gateway.WorkersAsync("digits"))["id"]);
        // The restarted daemon reports the exit.
        var mark = gateway.Process.Mark;
        await daemon.DockerAsync("kill", ((string)before[0]["runsAs"]!).Split(' ')[1]);
        await gateway.EventAsync(e => e.Is("WorkerFailed", ("Endpoint", "digits"))
            && e["Why"].StartsWith("ended by SIGKILL", StringComparison.Ordinal), "WorkerFailed", mark);
        Assert.Equal(HttpStatusCode.OK, await AskAsync(gateway));
    }

    [Fact]
    public async Task A_gateway_keeps_its_containers_at_a_stop_only_if_it_is_configured_to()
    {
        await using (var first = await StartAsync(Manifest("60s"), keep: "1"))
        {
            Assert.Equal(HttpStatusCode.OK, await AskAsync(first));
            first.Process.Signal(ChildProcess.Sigterm);
            Assert.Equal(0, await first.Process.ExitAsync());
        }

        Assert.NotEqual("", await ContainersAsync());
        await using (var second = await StartAsync(null))
        {
            await second.EventAsync("WorkerAdopted");
            second.Process.Signal(ChildProcess.Sigterm);
            Assert.Equal(0, await second.Process.ExitAsync());
        }

        Assert.Equal("", await ContainersAsync());
    }

    [Fact]
    public async Task Five_hundred_concurrent_requests_to_zero_workers_are_all_answered()
    {
        await using var gateway = await StartAsync(Manifest("60s", max: 2));
        var answers = await Task.WhenAll(Enumerable.Range(0, 500).Select(_ => AskAsync(gateway)));
        Assert.All(answers, a => Assert.Equal(HttpStatusCode.OK, a));
        Assert.InRange((await ContainersAsync()).Split('\n').Length, 1, 2);
    }

    private Task<GatewayProcess> StartAsync(string? manifest, string keep = "0") =>
        GatewayProcess.StartAsync(manifest, folder, new Dictionary<string, string?>
        {
            ["SLUICE_ADMIN_KEY"] = Key,
            ["SLUICE_POD_HOST"] = "docker",
            ["SLUICE_DOCKER_HOST"] = daemon.Address.OriginalString,
            ["SLUICE_DOCKER_IMAGE"] = LocalImages.Worker,
            ["SLUICE_DOCKER_KEEP"] = keep,
        });

    private static string Manifest(string idle, int max = 3) => $$"""
        templates:
          - { name: onnx, container: { memory: 512MiB, cpus: 2, pids: 256 } }
        endpoints:
          - { id: digits, template: onnx, scaling: { max: {{max}}, idleTimeout: {{idle}} } }

        """;

    private Task<string> ContainersAsync() => daemon.DockerAsync("ps", "-aq");

    private static async Task MoreAsync(ConcurrentBag<HttpStatusCode> answers)
    {
        var before = answers.Count;
        await Eventually.HoldsAsync(() => answers.Count >= before + 100, "a hundred more answers");
    }

    private static async Task<HttpStatusCode> AskAsync(GatewayProcess gateway)
    {
        using var body = new StringContent(Digit, Encoding.UTF8, "application/json");
        using var answer = await gateway.Client.PostAsync(new Uri("/v2/models/digits/infer", UriKind.Relative), body);
        var text = await answer.Content.ReadAsStringAsync();
        if (answer.StatusCode == HttpStatusCode.OK)
            Assert.Equal(10, JsonNode.Parse(text)!["outputs"]![0]!["data"]!.AsArray().Count);
        return answer.StatusCode;
    }
}
