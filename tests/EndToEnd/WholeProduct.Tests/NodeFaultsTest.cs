using System.Collections.Concurrent;
using System.Net;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>
/// The gateway of a node with workers of another leader is killed: two gateways with different node names, one Redis,
/// and real workers.
/// </summary>
[Trait("Part", "leases")]
public sealed class NodeFaultsTest : IAsyncLifetime
{
    private readonly JobCluster cluster = new();
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-node-").FullName;

    public ValueTask InitializeAsync() => cluster.Redis.InitializeAsync();

    public async ValueTask DisposeAsync()
    {
        await cluster.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Workers_of_a_node_whose_gateway_is_killed_start_elsewhere_and_nothing_accepted_is_lost()
    {
        await using var leader = await StartAsync("a");
        var killed = await StartAsync("b");
        await leader.EventAsync("NodeAdded", 0, ("Node", "b"));
        await DeclareAsync(leader, killed);
        await UntilReadyAsync(leader, "a", "b");

        using var stop = new CancellationTokenSource();
        var answers = new ConcurrentBag<string>();
        var load = Enumerable.Range(0, 8).Select(_ => SendUntilAsync(leader, answers, stop.Token)).ToArray();
        var jobs = new Jobs(leader);
        var accepted = await Task.WhenAll(Enumerable.Range(0, 200).Select(n =>
            (n % 2 == 0 ? jobs : new Jobs(killed)).RunAsync(JsonNode.Parse("""{"do":"sleep","ms":100}""")!)));
        await Eventually.HoldsAsync(() => answers.Count > 100);
        killed.Process.Signal(ChildProcess.Sigkill);
        await killed.Process.ExitAsync();

        await UntilReadyAsync(leader, "a", "a");
        foreach (var id in accepted) Assert.Equal("COMPLETED", (string?)(await jobs.EndAsync(id))["status"]);
        var before = answers.Count;
        await Eventually.HoldsAsync(() => answers.Count > before + 100);
        await stop.CancelAsync();
        await Task.WhenAll(load);
        Assert.DoesNotContain(answers, a => a is not ("first" or "second"));

        // The killed gateway finds no worker of its own, and neither a worker nor an order is repeated.
        var mark = leader.Process.Mark;
        await using var back = await StartAsync("b");
        await leader.EventAsync("NodeAdded", mark, ("Node", "b"));
        Assert.Equal("COMPLETED", (string?)(await new Jobs(back).RunSyncAsync(1))["status"]);
        await jobs.QuietAsync();
        var workers = await UntilReadyAsync(back, "a", "a");
        Assert.Equal(workers.Select(w => (int)w["processId"]!).Order(), StubProcesses.Of(cluster.Log));
        Assert.DoesNotContain(back.Events, e => e.Is("WorkerStarted") || e.Is("OrderTaken"));
        await killed.DisposeAsync();
    }

    /// <summary>
    /// Starts the gateway of a node. Root gives the second one its own process ids, as another machine has them, so
    /// that the first one cannot see that its workers have ended.
    /// </summary>
    private Task<GatewayProcess> StartAsync(string node)
    {
        var own = Directory.CreateDirectory(Path.Combine(folder, node)).FullName;
        var manifest = Path.Combine(own, "endpoints.yaml");
        if (!File.Exists(manifest)) File.WriteAllText(manifest, "");
        string[] elsewhere = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
        return GatewayProcess.StartAsync(folder: own, environment: new Dictionary<string, string?>
        {
            ["SLUICE_REDIS"] = cluster.Redis.ConnectionString,
            ["SLUICE_ADMIN_KEY"] = "one-admin-key-of-all-gateways",
            ["SLUICE_PAYLOADS"] = cluster.Payloads,
            ["SLUICE_NODE_NAME"] = node,
            ["SLUICE_NODE_ADDRESS"] = "127.0.0.1",
        }, wrapper: node == "b" && Environment.UserName == "root" ? elsewhere : []);
    }

    /// <summary>Declares two workers at both gateways, and waits until both know the endpoint.</summary>
    private async Task DeclareAsync(params GatewayProcess[] gateways)
    {
        var marks = gateways.Select(g => g.Process.Mark).ToArray();
        var manifest = Jobs.Manifest(
            cluster.Log, max: 2, concurrency: 4, more: "jobs: { maxRuns: 20 }", scaling: ", min: 2");
        foreach (var node in new[] { "a", "b" })
            await File.WriteAllTextAsync(Path.Combine(folder, node, "endpoints.yaml"), manifest);
        foreach (var (gateway, mark) in gateways.Zip(marks))
            await gateway.EventAsync("ManifestApplied", mark, ("Endpoints", "1"));
    }

    /// <summary>
    /// Sends requests until the end of the load. A request that fails with a retryable error is sent once more.
    /// </summary>
    private static async Task SendUntilAsync(
        GatewayProcess gateway, ConcurrentBag<string> answers, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            var (status, error) = await SendAsync(gateway);
            if (status == HttpStatusCode.OK)
            {
                answers.Add("first");
                continue;
            }

            var isClear = status is HttpStatusCode.BadGateway or HttpStatusCode.ServiceUnavailable && error.Length > 0;
            var (again, why) = await SendAsync(gateway);
            answers.Add(isClear && again == HttpStatusCode.OK ? "second" : $"{status} {error}, then {again} {why}");
        }
    }

    private static async Task<(HttpStatusCode Status, string Error)> SendAsync(GatewayProcess gateway)
    {
        using var body = new StringContent("""{"id":"plain","attempt":1,"input":{"do":"sleep","ms":20}}""");
        using var answer = await gateway.Client.PostAsync(new Uri("/e/stub/run", UriKind.Relative), body);
        if (answer.StatusCode == HttpStatusCode.OK) return (answer.StatusCode, "");
        return (answer.StatusCode, (string)JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["error"]!);
    }

    /// <summary>Waits until the endpoint has exactly these workers, all ready, by the node of each.</summary>
    private async Task<IReadOnlyList<JsonObject>> UntilReadyAsync(GatewayProcess gateway, params string[] nodes)
    {
        var names = new Dictionary<string, string>();
        foreach (var node in new[] { "a", "b" })
            names[(await File.ReadAllTextAsync(Path.Combine(folder, node, "data", "host-id"))).Trim()] = node;
        return await Eventually.BecomesAsync(() => gateway.WorkersAsync("stub"), all =>
            all.All(w => (string?)w["state"] == "ready")
            && all.Select(w => names[(string)w["host"]!]).Order().SequenceEqual(nodes),
            $"the workers run on {string.Join(" and ", nodes)}");
    }
}
