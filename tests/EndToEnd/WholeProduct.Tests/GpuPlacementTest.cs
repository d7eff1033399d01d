using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>Real gateways and workers on GPUs that an inventory file tells of: who gets which, who waits, and who is told that it waits in vain.</summary>
public sealed class GpuPlacementTest : IDisposable
{
    private readonly string inventory = Path.GetTempFileName();

    public void Dispose() => File.Delete(inventory);

    [Fact]
    public async Task Each_worker_has_exactly_its_devices_who_finds_none_waits_and_gets_what_is_freed()
    {
        await using var gateway = await StartAsync("""{ "gpus": [{ "name": "NVIDIA L4", "count": 2 }] }""", Manifest("min: 2, max: 2"));
        var (b, c) = (new Jobs(gateway, "b"), new Jobs(gateway, "c"));

        // Both GPUs are the first endpoint's, one for each worker, and that is what the workers see.
        var workers = await Eventually.BecomesAsync(() => gateway.WorkersAsync("a", "ready"), w => w.Count == 2);
        var devices = workers.Select(w => (string)Assert.Single(w["devices"]!.AsArray())!).Order(StringComparer.Ordinal).ToList();
        var gpus = (await gateway.GetAsync("/api/v1/gpus"))["gpus"]!.AsArray();
        Assert.Equal(gpus.Select(g => (string)g!["uuid"]!), devices);
        Assert.All(gpus, g => Assert.Equal(("a", 0L, "L4"), ((string)Assert.Single(g!["users"]!.AsArray())!["endpoint"]!, (long)g["freeMiB"]!, (string)g["model"]!)));
        Assert.Contains((string)(await EnvAsync(gateway, "a", "CUDA_VISIBLE_DEVICES"))!, devices);

        // The second one waits, and says so everywhere.
        var waiting = await b.RunAsync(Env("CUDA_VISIBLE_DEVICES"));
        var status = await Eventually.BecomesAsync(() => b.GetAsync($"status/{waiting}"), j => (string?)j["queue"]!["reason"] == "NO_CAPACITY");
        Assert.Contains("No free capacity: required 1 GPU, 2 match, 0 free: GPU 0 is used by a-", (string)status["queue"]!["detail"]!, StringComparison.Ordinal);
        var health = await b.GetAsync("health");
        Assert.Equal((1, "NO_CAPACITY"), ((int)health["workers"]!["throttled"]!, (string)health["capacity"]!["reason"]!));
        Assert.Contains("GPU 0 is used by a-", (string)health["capacity"]!["detail"]!, StringComparison.Ordinal);
        using var anonymous = gateway.ClientFor(null);
        var shown = await new Jobs(gateway, "b", anonymous).GetAsync("health");
        Assert.Equal("No GPU is free for its workers.", (string?)shown["capacity"]!["detail"]);
        Assert.False((bool)(await gateway.GetAsync("/api/v1/endpoints/b"))["status"]!["noCapacity"]!["never"]!);
        Assert.Equal("b", (string)Assert.Single((await gateway.GetAsync("/api/v1/gpus"))["waiting"]!.AsArray())!["endpointId"]!);

        // The third one waits in vain, and is told at once.
        using var refused = await c.PostAsync("runsync?wait=1000", Jobs.Body(1));
        using var direct = await gateway.Client.GetAsync(new Uri("/e/c/anything", UriKind.Relative));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, direct.StatusCode);
        Assert.Contains("Endpoint 'c' cannot start a worker. gpu.types requires H100; none of the GPUs matches "
            + "(2 x NVIDIA L4); would fit: NVIDIA L4.",
            (string)(await direct.Content.ReadFromJsonAsync<JsonObject>())!["detail"]!, StringComparison.Ordinal);
        var vain = await c.RunAsync(1);
        await Eventually.BecomesAsync(() => c.GetAsync($"status/{vain}"), j => (string?)j["queue"]!["reason"] == "NO_FITTING_GPU");

        // One of the first endpoint's goes: its device is the second's.
        await File.WriteAllTextAsync(gateway.ManifestPath, Manifest("min: 1, max: 1"));
        var ended = await b.EndAsync(waiting);
        Assert.Equal("COMPLETED", (string?)ended["status"]);
        var left = (string)Assert.Single(Assert.Single(await gateway.WorkersAsync("a", "ready"))["devices"]!.AsArray())!;
        Assert.Equal(Assert.Single(devices, d => d != left), (string?)ended["output"]);
        await Eventually.BecomesAsync(() => b.GetAsync("health"), h => h["capacity"] is null && (int)h["workers"]!["throttled"]! == 0);
    }

    [Fact]
    public async Task What_is_freed_goes_by_priority_and_a_GPU_that_is_added_is_used()
    {
        await using var gateway = await StartAsync("""{ "gpus": [{ "name": "NVIDIA L4" }] }""", Ranked(firstMax: 1));
        await Eventually.BecomesAsync(() => gateway.WorkersAsync("first", "ready"), w => w.Count == 1);
        var (low, high) = (new Jobs(gateway, "low"), new Jobs(gateway, "high"));
        var (lows, highs) = (await low.RunAsync(Env("CUDA_VISIBLE_DEVICES")), await high.RunAsync(Env("CUDA_VISIBLE_DEVICES")));
        await Eventually.BecomesAsync(() => gateway.GetAsync("/api/v1/gpus"), g => g["waiting"]!.AsArray().Count == 2);

        await File.WriteAllTextAsync(gateway.ManifestPath, Ranked(firstMax: 0));
        Assert.Equal("COMPLETED", (string?)(await high.EndAsync(highs))["status"]);
        Assert.Equal("NO_CAPACITY", (string?)(await low.GetAsync($"status/{lows}"))["queue"]!["reason"]);

        await File.WriteAllTextAsync(inventory, """{ "gpus": [{ "name": "NVIDIA L4" }, { "name": "NVIDIA L4", "uuid": "GPU-new" }] }""");
        Assert.Equal("GPU-new", (string?)(await low.EndAsync(lows))["output"]);
    }

    [Fact]
    public async Task An_idle_worker_makes_room_for_a_higher_priority_and_for_no_other()
    {
        await using var gateway = await StartAsync("""{ "gpus": [{ "name": "NVIDIA L4" }] }""", Ranked(firstMax: 0));
        var (low, high) = (new Jobs(gateway, "low"), new Jobs(gateway, "high"));
        await low.RunSyncAsync(1);
        var same = await new Jobs(gateway, "same").RunAsync(1);
        await Eventually.BecomesAsync(() => new Jobs(gateway, "same").GetAsync($"status/{same}"), j => (string?)j["queue"]!["reason"] == "NO_CAPACITY");
        Assert.Single(await gateway.WorkersAsync("low", "ready"));
        Assert.Equal("COMPLETED", (string?)(await high.RunSyncAsync(1))["status"]);
        Assert.Empty(await gateway.WorkersAsync("low", "ready"));
        Assert.Contains(gateway.Events, e => e.Is("WorkerPreempted", ("Endpoint", "low"), ("Other", "high")));
    }

    [Fact]
    public async Task Shares_have_one_GPU_together_and_a_full_machine_comes_to_a_new_declaration()
    {
        await using var gateway = await StartAsync("""{ "gpus": [{ "name": "NVIDIA L4" }] }""", Shared("one"));
        await Eventually.BecomesAsync(() => gateway.WorkersAsync("x", "ready"), w => w.Count == 2);
        var users = Assert.Single((await gateway.GetAsync("/api/v1/gpus"))["gpus"]!.AsArray())!["users"]!.AsArray();
        Assert.Equal([12288L, 12288L], users.Select(u => (long)u!["shareMiB"]!));
        Assert.Equal("12288", (string?)await EnvAsync(gateway, "x", "SLUICE_GPU_MEMORY_MIB"));
        // No needs, and so no GPU, where others are placed.
        Assert.Equal("-1", (string?)await EnvAsync(gateway, "plain", "CUDA_VISIBLE_DEVICES"));

        var old = (await gateway.WorkersAsync("x")).Select(w => (string)w["id"]!).ToHashSet();
        await File.WriteAllTextAsync(gateway.ManifestPath, Shared("two"));
        await Eventually.BecomesAsync(() => gateway.WorkersAsync("x", "ready"), w => w.Count == 2 && w.All(x => !old.Contains((string)x["id"]!)));
        Assert.Equal("two", (string?)await EnvAsync(gateway, "x", "GENERATION"));

        using var bad = await gateway.Client.PostAsync(new Uri("/api/v1/gpus/try", UriKind.Relative), new StringContent("""{"requests":[{"gpu":{"types":["H10O"]}}]}"""));
        Assert.Equal(HttpStatusCode.BadRequest, bad.StatusCode);
        using var answer = await gateway.Client.PostAsync(new Uri("/api/v1/gpus/try", UriKind.Relative),
            new StringContent("""{"requests":[{"gpu":{"precision":"bf16"}},{"gpu":{"types":["H100"]}}],"idle":true}"""));
        var placed = (await answer.Content.ReadFromJsonAsync<JsonObject>())!["placed"]!.AsArray();
        Assert.Single(placed[0]!["devices"]!.AsArray());
        Assert.True((bool)placed[1]!["refusal"]!["never"]!);
    }

    private async Task<GatewayProcess> StartAsync(string gpus, string manifest)
    {
        await File.WriteAllTextAsync(inventory, gpus);
        return await GatewayProcess.StartAsync(manifest, environment: new Dictionary<string, string?> { ["SLUICE_GPU_INVENTORY"] = inventory });
    }

    private static string Manifest(string scalingOfA) => Template("any", "{ precision: bf16 }") + Template("h100", "{ types: [H100] }") + $$"""
        endpoints:
          - { id: a, template: any, scaling: { {{scalingOfA}} } }
          - { id: b, template: any, public: true, scaling: { max: 1, idleTimeout: 600s } }
          - { id: c, template: h100, scaling: { max: 1 } }
        """;

    private static string Ranked(int firstMax) => Template("any", "{ types: [L4] }") + $$"""
        endpoints:
          - { id: first, template: any, scaling: { min: {{firstMax}}, max: {{firstMax}} } }
          - { id: low, template: any, scaling: { max: 1, idleTimeout: 600s } }
          - { id: same, template: any, scaling: { max: 1, idleTimeout: 600s } }
          - { id: high, template: any, scaling: { max: 1, idleTimeout: 600s }, placement: { priority: 10 } }
        """;

    private static string Shared(string generation) => Template("half", "{ share: 50% }", $"GENERATION: {generation}") + Template("plain", null) + """
        endpoints:
          - { id: x, template: half, scaling: { min: 2, max: 2 } }
          - { id: plain, template: plain, scaling: { max: 1 } }
        """;

    private static string Template(string name, string? gpu, string env = "STUB: yes") => $$"""
        {{(name is "any" or "half" ? "templates:\n" : "")}}  - name: {{name}}
            command: ["{{Repository.StubWorker}}"]
            concurrency: 1
            readyPath: /ready
            env: { {{env}}, DOTNET_TieredPGO: "0", DOTNET_gcServer: "0" }
            stopGrace: 1s
            {{(gpu is null ? "startTimeout: 60s" : "gpu: " + gpu)}}

        """;

    private static JsonObject Env(string name) => new() { ["do"] = "env", ["name"] = name };

    private static async Task<JsonNode?> EnvAsync(GatewayProcess gateway, string endpoint, string name) =>
        (await new Jobs(gateway, endpoint).RunSyncAsync(Env(name)))["output"];
}
