using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Sluice.Domain.Fleet;
using Sluice.Domain.Nodes;
using Sluice.Storage.Fleet;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>
/// The leader starts workers on the nodes of other gateways: two gateways with different node names, one Redis, and
/// real workers.
/// </summary>
public sealed class FleetPlacementTest : IAsyncLifetime
{
    private const string Ghost = "ghost";

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-fleet-").FullName;
    private InProcessGateway leader = null!;

    /// <summary>The workers of this test have it in their environment.</summary>
    private string Log => Path.Combine(folder, "log");

    public async ValueTask InitializeAsync() => leader = await InProcessGateway.StartAsync("", Node("a"));

    public async ValueTask DisposeAsync()
    {
        await leader.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task A_worker_that_needs_the_gpu_of_another_node_starts_there_and_every_gateway_reaches_it()
    {
        await using var other = await leader.StartAnotherAsync(Node("b", "NVIDIA H100 80GB HBM3"));
        await leader.Log.EventAsync("NodeAdded", ("Node", "b"));
        await DeclareAsync("gpu", "min: 0, max: 1", "gpu: { types: [H100] }");

        foreach (var gateway in new[] { leader, other }) await CallAsync(gateway, HttpStatusCode.OK);
        var worker = Assert.Single(await PodsAsync());
        Assert.Equal((HostOf(other), "b", PodState.Ready), (worker.HostId, worker.Node, worker.State));
        var process = Assert.Single(StubProcesses.Of(Log));
        Assert.Contains($"CUDA_VISIBLE_DEVICES={Assert.Single(worker.Devices)}\0",
            await File.ReadAllTextAsync($"/proc/{process}/environ"), StringComparison.Ordinal);
        await other.Log.EventAsync("OrderTaken", ("Worker", worker.Id));
        foreach (var gateway in new[] { leader, other })
        {
            var gpus = await gateway.GetAsync("/api/v1/gpus");
            Assert.Equal([("a", true), ("b", true)], gpus["nodes"]!.AsArray()
                .Select(n => ((string)n!["name"]!, (bool)n["offered"]!)).Order());
            Assert.Equal(("b", worker.Id), ((string)gpus["gpus"]![0]!["node"]!,
                (string)gpus["gpus"]![0]!["users"]![0]!["worker"]!));
        }

        // The node leaves: no GPU is left, and requests get the reason.
        await other.StopAsync();
        await leader.Log.EventAsync("NodeRemoved", ("Node", "b"));
        var reason = await CallAsync(leader, HttpStatusCode.ServiceUnavailable);
        Assert.Contains("No GPU was found", reason, StringComparison.Ordinal);
        await Eventually.HoldsAsync(() => StubProcesses.Of(Log).Count == 0);
    }

    [Fact]
    public async Task Workers_without_gpus_are_spread_and_those_of_a_lost_node_are_replaced()
    {
        await using var other = await leader.StartAnotherAsync(Node("b"));
        await leader.Log.EventAsync("NodeAdded", ("Node", "b"));
        await DeclareAsync("app", "min: 2, max: 2");
        var pods = await UntilReadyAsync(2);
        Assert.Equal(new[] { HostOf(leader), HostOf(other) }.Order(), pods.Select(p => p.HostId).Order());

        await other.StopAsync();
        var left = HostOf(leader);
        pods = await Eventually.BecomesAsync(PodsAsync,
            all => all.Count(p => p.State == PodState.Ready && p.HostId == left) == 2, "both run on a");
        Assert.Equal(2, pods.Count);
        Assert.Equal(2, StubProcesses.Of(Log).Count);
    }

    [Fact]
    public async Task An_order_that_a_node_does_not_take_is_withdrawn_and_placed_elsewhere()
    {
        await AnnounceGhostAsync();
        await leader.Log.EventAsync("NodeAdded", ("Node", Ghost));
        await DeclareAsync("app", "min: 2, max: 2");

        // Of nodes without workers, the leader's own one is first.
        var ordered = await leader.Log.EventAsync("WorkerOrdered", ("Node", Ghost));
        await leader.Log.EventAsync("OrderWithdrawn", ("Worker", ordered["Worker"]));
        Assert.All(await UntilReadyAsync(2), p => Assert.Equal(HostOf(leader), p.HostId));
        Assert.Equal(2, StubProcesses.Of(Log).Count);
    }

    [Fact]
    public async Task A_new_leader_continues_with_an_open_order_and_starts_no_second_worker_for_it()
    {
        await using var other = await leader.StartAnotherAsync(Node("b"));
        await AnnounceGhostAsync();
        await leader.Log.EventAsync("NodeAdded", ("Node", Ghost));
        await leader.Log.EventAsync("NodeAdded", ("Node", "b"));
        await DeclareAsync("app", "min: 3, max: 3");
        var ordered = await leader.Log.EventAsync("WorkerOrdered", ("Node", Ghost));
        await other.Log.EventAsync("OrderTaken");
        await leader.StopAsync();

        await other.Log.EventAsync("OrderWithdrawn", ("Worker", ordered["Worker"]));
        var pods = await Eventually.BecomesAsync(() => PodsAsync(other),
            all => all.Count(p => p.State == PodState.Ready && p.HostId == HostOf(other)) == 3, "all run on b");
        Assert.Equal(3, pods.Count);
        Assert.Equal(3, StubProcesses.Of(Log).Count);
        Assert.Equal(3, other.Log.Entries.Count(e => e.Is("WorkerStarted")));
        Assert.DoesNotContain(other.Log.Entries, e => e.Is("WorkerStarted", ("Worker", ordered["Worker"])));
    }

    [Fact]
    public async Task A_node_without_an_address_gets_no_workers_of_others()
    {
        await using var other = await leader.StartAnotherAsync(new Dictionary<string, string?>
        {
            ["SLUICE_NODE_NAME"] = "b",
            ["SLUICE_NODE_ADDRESS"] = null,
            ["SLUICE_GPU_INVENTORY"] = Inventory("Tesla T4"),
        });
        await leader.UntilAsync("/api/v1/gpus", g => g["nodes"]!.AsArray().Count == 2);
        var gpus = await leader.GetAsync("/api/v1/gpus");
        Assert.False((bool)gpus["nodes"]![1]!["offered"]!);
        await DeclareAsync("gpu", "min: 0, max: 1", "gpu: { types: [T4] }");
        Assert.Contains("No GPU was found", await CallAsync(leader, HttpStatusCode.ServiceUnavailable),
            StringComparison.Ordinal);
        Assert.Empty(StubProcesses.Of(Log));
    }

    [Fact]
    public async Task A_node_on_which_a_start_failed_gets_no_worker_while_another_node_has_room()
    {
        await using var other = await leader.StartAnotherAsync(Node("b", address: "127.0.0.2"));
        await leader.Log.EventAsync("NodeAdded", ("Node", "b"));
        await DeclareAsync("app", "min: 2, max: 2", FailsAt("127.0.0.2"));

        // Node b has fewer workers, so it is chosen for the second worker, once.
        var ready = (await UntilReadyAsync(2)).Where(p => p.State == PodState.Ready);
        Assert.All(ready, p => Assert.Equal(HostOf(leader), p.HostId));
        Assert.Single(other.Log.Entries, e => e.Is("OrderTaken"));
        Assert.Contains(other.Log.Entries, e => e.Is("WorkerFailed", ("Endpoint", "app")));
    }

    [Fact]
    public async Task A_gpu_of_a_node_on_which_a_start_failed_is_used_only_if_no_other_one_is_free()
    {
        await leader.DisposeAsync();
        leader = await InProcessGateway.StartAsync("", Node("a", "NVIDIA L4", "127.0.0.2"));
        await using var other = await leader.StartAnotherAsync(Node("b", "NVIDIA L4"));
        await leader.Log.EventAsync("NodeAdded", ("Node", "b"));
        await DeclareAsync("gpu", "min: 0, max: 2", $"gpu: {{ types: [L4] }}\n    {FailsAt("127.0.0.2")}");

        // The GPU of the first node is chosen first.
        await CallAsync(leader, HttpStatusCode.OK);
        await leader.Log.EventAsync("WorkerFailed", ("Endpoint", "gpu"));
        Assert.Equal((HostOf(other), "b"), (await PodsAsync()).Where(p => p.State == PodState.Ready)
            .Select(p => (p.HostId, p.Node)).Single());
        Assert.Single(leader.Log.Entries, e => e.Is("WorkerFailed"));

        // The other GPU is in use, so the failing node is tried again.
        await DeclareAsync("gpu", "min: 2, max: 2", $"gpu: {{ types: [L4] }}\n    {FailsAt("127.0.0.2")}");
        await Eventually.HoldsAsync(() => leader.Log.Entries.Count(e => e.Is("WorkerFailed")) >= 2);
    }

    /// <summary>A command that fails on the node with an address.</summary>
    private static string FailsAt(string address) => $$"""
        command: ["/bin/sh", "-c", "test {host} != {{address}} || exit 3; exec {{Repository.StubWorker}}"]
        """;

    /// <summary>The settings of a gateway on a node, with GPUs of one kind or none.</summary>
    private Dictionary<string, string?> Node(string name, string? gpu = null, string address = "127.0.0.1") => new()
    {
        ["SLUICE_NODE_NAME"] = name,
        ["SLUICE_NODE_ADDRESS"] = address,
        ["SLUICE_GPU_INVENTORY"] = Inventory(gpu),
    };

    private string Inventory(string? gpu)
    {
        var file = Path.Combine(folder, $"{Guid.NewGuid():N}.json");
        var uuid = $"GPU-{Guid.NewGuid()}";
        File.WriteAllText(file, gpu is null ? """{ "gpus": [] }"""
            : $$"""{ "gpus": [{ "name": "{{gpu}}", "uuid": "{{uuid}}" }] }""");
        return file;
    }

    private async Task DeclareAsync(string id, string scaling, string template = "")
    {
        var command = template.Contains("command:", StringComparison.Ordinal)
            ? "" : $"command: [\"{Repository.StubWorker}\"]";
        await File.WriteAllTextAsync(leader.ManifestPath, $$"""
            templates:
              - name: web
                {{command}}
                env: { STUB_POD: "1", STUB_LOG: "{{Log}}" }
                protocol: http1
                readyPath: /
                {{template}}
            endpoints:
              - { id: {{id}}, template: web, scaling: { {{scaling}} } }
            """);
        await leader.UntilAsync("/api/v1/endpoints", e => e["endpoints"]!.AsArray().Count == 1);
    }

    /// <summary>Announces a node with many processors whose gateway takes no orders.</summary>
    private async Task AnnounceGhostAsync()
    {
        var services = leader.Services;
        await services.GetRequiredService<PodStore>().RenewHostAsync(Ghost, TimeSpan.FromMinutes(10), default);
        var node = new FleetNode { HostId = Ghost, Name = Ghost, Address = "127.0.0.1", Cpus = 1000 };
        await services.GetRequiredService<NodeStore>().AnnounceAsync(Ghost, NodeStore.Write(node), 0, default);
    }

    private static async Task<string> CallAsync(InProcessGateway gateway, HttpStatusCode expected)
    {
        using var answer = await gateway.Client.GetAsync(new Uri("/e/gpu/page", UriKind.Relative));
        Assert.Equal(expected, answer.StatusCode);
        return await answer.Content.ReadAsStringAsync();
    }

    private Task<IReadOnlyList<Pod>> PodsAsync() => PodsAsync(leader);

    private static async Task<IReadOnlyList<Pod>> PodsAsync(InProcessGateway gateway)
    {
        var store = gateway.Services.GetRequiredService<PodStore>();
        var pods = new List<Pod>();
        foreach (var endpoint in await store.EndpointsAsync(default))
            pods.AddRange(await store.ListAsync(endpoint, default));
        return pods;
    }

    private Task<IReadOnlyList<Pod>> UntilReadyAsync(int count) => Eventually.BecomesAsync(
        PodsAsync, all => all.Count(p => p.State == PodState.Ready) == count, $"{count} workers are ready");

    private static string HostOf(InProcessGateway gateway) => gateway.Services.GetRequiredService<HostId>().Value;
}
