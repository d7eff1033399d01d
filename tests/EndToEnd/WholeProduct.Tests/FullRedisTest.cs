using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>A real Redis that jobs fill up to its maxmemory, and what continues then.</summary>
[Trait("Matrix", "fault")]
public sealed class FullRedisTest : IAsyncLifetime
{
    private readonly JobCluster cluster = new();

    public ValueTask InitializeAsync() => cluster.Redis.InitializeAsync();

    public async ValueTask DisposeAsync() => await cluster.DisposeAsync();

    [Fact]
    public async Task Jobs_that_fill_redis_stop_neither_requests_nor_workers_nor_keys_and_their_ends_make_room()
    {
        await using var gateway = await cluster.StartAsync(manifest: Manifest());
        var (jobs, db) = (new Jobs(gateway), cluster.Redis.Store.Database);
        await jobs.RunSyncAsync(1);
        await SyncAsync(gateway);
        // The only slot of the jobs' worker is taken until the test says so.
        var blocks = await jobs.RunAsync(new JsonObject { ["do"] = "sleep", ["ms"] = 600_000 });
        await jobs.StatusAsync(blocks, "IN_PROGRESS");
        var used = long.Parse(((string)(await db.ExecuteAsync("INFO", "memory"))!).Split("used_memory:")[1].Split('\r')[0], CultureInfo.InvariantCulture);
        await db.ExecuteAsync("CONFIG", "SET", "maxmemory", used + (12 << 20));

        var (waiting, refusal) = await FillAsync(jobs);
        Assert.Contains("Redis has used 90 % or more of its maxmemory", refusal, StringComparison.Ordinal);
        Assert.DoesNotContain("unreachable", refusal, StringComparison.Ordinal);
        // Also with no byte left.
        await db.ExecuteAsync("CONFIG", "SET", "maxmemory", "1mb");

        await SyncAsync(gateway);
        var worker = Assert.Single(await gateway.WorkersAsync("sync", "ready"));
        ChildProcess.Signal((int)worker["processId"]!, ChildProcess.Sigkill);
        await Eventually.HoldsAsync(async () => (await gateway.WorkersAsync("sync", "ready")).Any(w => (string)w["id"]! != (string)worker["id"]!));
        await SyncAsync(gateway);
        using (var made = await gateway.Client.PostAsJsonAsync("/api/v1/keys", new { name = "late", invoke = new[] { "sync" } }))
        {
            Assert.Equal(HttpStatusCode.Created, made.StatusCode);
            var key = JsonNode.Parse(await made.Content.ReadAsStringAsync())!;
            using var late = gateway.ClientFor((string)key["key"]!);
            await SyncAsync(gateway, late);
            using var gone = await gateway.Client.DeleteAsync(new Uri($"/api/v1/keys/{key["record"]!["id"]}", UriKind.Relative));
            Assert.Equal(HttpStatusCode.NoContent, gone.StatusCode);
        }

        using (var cancel = await jobs.PostAsync($"cancel/{blocks}")) Assert.Equal(HttpStatusCode.OK, cancel.StatusCode);
        foreach (var id in waiting) Assert.Equal("COMPLETED", (string?)(await jobs.EndAsync(id))["status"]);
        await jobs.QuietAsync();
        await db.ExecuteAsync("CONFIG", "SET", "maxmemory", used + (12 << 20));
        // Their inputs are gone: there is room for as many again.
        await Eventually.HoldsAsync(async () =>
        {
            using var answer = await jobs.PostAsync("run", Input());
            return answer.IsSuccessStatusCode;
        });
        await jobs.QuietAsync();
    }

    [Fact]
    public async Task A_key_that_fills_its_bytes_gets_429_that_names_the_limit_and_others_do_not()
    {
        await using var gateway = await cluster.StartAsync(manifest: Manifest("jobs: { maxBytes: 4194304, maxKeyBytes: 1048576 }, public: true"));
        var jobs = new Jobs(gateway);
        await jobs.RunSyncAsync(1);
        var blocks = await jobs.RunAsync(new JsonObject { ["do"] = "sleep", ["ms"] = 600_000 });
        await jobs.StatusAsync(blocks, "IN_PROGRESS");
        using var anyone = gateway.ClientFor(null);
        var (waiting, refusal) = await FillAsync(new Jobs(gateway, client: anyone), 429);
        Assert.Equal(5, waiting.Count);
        Assert.Contains("callers without a key", refusal, StringComparison.Ordinal);
        Assert.Contains("1048576 bytes (jobs.maxKeyBytes", refusal, StringComparison.Ordinal);
        using var made = await gateway.Client.PostAsJsonAsync("/api/v1/keys", new { name = "own", invoke = new[] { "stub" }, jobBytes = 700_000 });
        using var own = gateway.ClientFor((string)JsonNode.Parse(await made.Content.ReadAsStringAsync())!["key"]!);
        var (few, limit) = await FillAsync(new Jobs(gateway, client: own), 429);
        Assert.Equal(3, few.Count);
        Assert.Contains("700000 bytes (jobBytes of the key)", limit, StringComparison.Ordinal);
        await jobs.QuietAsync(waits: true);

        using (var purge = await new Jobs(gateway, client: own).PostAsync("purge-queue")) Assert.Equal(HttpStatusCode.OK, purge.StatusCode);
        await new Jobs(gateway, client: own).RunAsync(new string('x', 200_000));
        using (var cancel = await jobs.PostAsync($"cancel/{blocks}")) Assert.Equal(HttpStatusCode.OK, cancel.StatusCode);
        await jobs.QuietAsync();
    }

    private static string Input() => Jobs.Body(new string('x', 200_000));

    /// <summary>Submits jobs until one is refused: those that wait, and what the refusal says.</summary>
    private static async Task<(List<string> Waiting, string Refusal)> FillAsync(Jobs jobs, int status = 503)
    {
        var waiting = new List<string>();
        while (true)
        {
            using var answer = await jobs.PostAsync("run", Input());
            var text = await answer.Content.ReadAsStringAsync();
            if (answer.IsSuccessStatusCode) waiting.Add((string)JsonNode.Parse(text)!["id"]!);
            else
            {
                Assert.Equal(status, (int)answer.StatusCode);
                Assert.NotNull(answer.Headers.RetryAfter);
                return (waiting, text);
            }
        }
    }

    private static async Task SyncAsync(GatewayProcess gateway, HttpClient? client = null)
    {
        using var answer = await (client ?? gateway.Client).PostAsync(new Uri("/e/sync/run", UriKind.Relative), new StringContent("""{"id":"sync","attempt":1,"input":1}"""));
        Assert.Equal((HttpStatusCode.OK, ""), (answer.StatusCode, answer.IsSuccessStatusCode ? "" : await answer.Content.ReadAsStringAsync()));
    }

    private string Manifest(string more = "") => Jobs.Manifest(cluster.Log, max: 1, concurrency: 1, more: more)
        + "\n  - { id: sync, template: stub, scaling: { min: 1, max: 1 } }\n";
}
