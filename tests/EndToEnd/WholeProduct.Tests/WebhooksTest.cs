using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Storage.Queueing;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>
/// Tests webhooks of jobs with a receiver whose responses a test selects: rows H of the fault matrix.
/// </summary>
[Trait("Matrix", "fault")]
[Trait("Part", "webhooks")]
public sealed class WebhooksTest : IAsyncLifetime
{
    private readonly JobCluster cluster = new();
    private readonly WebhookReceiver receiver = new();

    public ValueTask InitializeAsync() => cluster.Redis.InitializeAsync();

    public async ValueTask DisposeAsync()
    {
        receiver.Dispose();
        await cluster.DisposeAsync();
    }

    [Trait("Fault", "H8")]
    [Fact]
    public async Task A_delivery_is_the_status_signed_with_both_secrets_while_they_rotate()
    {
        await using var gateway = await cluster.StartAsync();
        var jobs = new Jobs(gateway);
        var id = await RunAsync(jobs, "/ok");
        var got = await receiver.NextAsync("/ok");
        var old = (string)(await gateway.GetAsync("/api/v1/endpoints/stub/webhook-secret"))["values"]![0]!;
        Assert.Equal("COMPLETED", (string?)JsonNode.Parse(got.Body)!["status"]);
        Assert.Equal(id, (string?)JsonNode.Parse(got.Body)!["id"]);
        Assert.Equal($"v1,{Hmac(old, got)}", got.Signature);

        using var rotated = await gateway.Client.PostAsync(new Uri("/api/v1/endpoints/stub/webhook-secret/rotate",
            UriKind.Relative), null);
        var fresh = (string)(await rotated.Content.ReadFromJsonAsync<JsonObject>())!["values"]![0]!;
        await RunAsync(jobs, "/ok");
        var second = await receiver.NextAsync("/ok");
        Assert.Equal($"v1,{Hmac(fresh, second)} v1,{Hmac(old, second)}", second.Signature);

        await DeliveredAsync(gateway, got.Id);
        using var again = await gateway.Client.PostAsync(new Uri($"/api/v1/endpoints/stub/webhooks/{got.Id}/redeliver",
            UriKind.Relative), null);
        Assert.Equal(HttpStatusCode.OK, again.StatusCode);
        Assert.Equal(got.Id, (await receiver.NextAsync("/ok")).Id);
        Assert.Equal(2, (await DeliveredAsync(gateway, got.Id, notes: 2))["log"]!.AsArray().Count);
        FaultMatrix.Seen("H8", $"one signature, two after the secret was rotated, the same id when delivered again");
    }

    [Trait("Fault", "H1")]
    [Fact]
    public async Task A_receiver_that_was_down_gets_every_delivery_when_it_is_up_again()
    {
        using var late = new WebhookReceiver(listens: false);
        await using var gateway = await cluster.StartAsync();
        var jobs = new Jobs(gateway);
        var (db, outbox) = (cluster.Redis.Store.Database, new JobKeys("stub").Outbox);
        var ids = await Task.WhenAll(Enumerable.Range(0, FaultMatrix.Count(some: 5, whole: 100))
            .Select(_ => jobs.RunAsync(1, $"\"webhook\":\"{late.Url}/configured\"")));
        foreach (var id in ids) await jobs.EndAsync(id);
        // The receiver does not listen yet. Later tries are minutes away, so the test makes them due itself.
        await TriedAsync(2);
        late.Listen();
        late.Status = 500;
        await NowAsync();
        await TriedAsync(3);
        late.Status = 429;
        await NowAsync();
        await TriedAsync(4);
        foreach (var due in await db.SortedSetRangeByRankWithScoresAsync(outbox))
            Assert.True(due.Score > TimeProvider.System.GetUtcNow().AddHours(9).ToUnixTimeMilliseconds(),
                $"{due.Element} is tried again before Retry-After");
        late.Status = 200;
        await NowAsync();
        var got = new List<Received>();
        while (got.Count < 3 * ids.Length) got.Add(await late.NextAsync("/configured"));
        foreach (var id in ids) await DeliveredAsync(gateway, $"msg_{id}_1");
        Assert.All(got.GroupBy(g => (string)JsonNode.Parse(g.Body)!["id"]!), tries =>
        {
            Assert.Equal($"msg_{tries.Key}_1", Assert.Single(tries.Select(t => t.Id).Distinct()));
            Assert.Equal(3, tries.Select(t => t.Timestamp).Distinct().Count());
        });
        Assert.Equal(0, await db.SortedSetLengthAsync(outbox));
        await jobs.QuietAsync();
        FaultMatrix.Seen("H1",
            $"down, 500, 429, then {ids.Length} of {ids.Length} delivered at the fifth try: one webhook-id each, ",
            $"three timestamps");

        async Task TriedAsync(int times)
        {
            foreach (var id in ids)
                await Eventually.HoldsAsync(async () =>
                    (await DeliveryAsync(gateway, $"msg_{id}_1"))["log"]!.AsArray().Count >= times);
        }

        async Task NowAsync()
        {
            foreach (var delivery in await db.SortedSetRangeByRankAsync(outbox))
                await db.SortedSetAddAsync(outbox, delivery, 1);
        }
    }

    [Trait("Fault", "H1")]
    [Trait("Fault", "H2")]
    [Trait("Fault", "H3")]
    [Fact]
    public async Task Failures_are_tried_again_redirects_not_followed_and_410_is_the_end()
    {
        await using var gateway = await cluster.StartAsync();
        var jobs = new Jobs(gateway);
        await RunAsync(jobs, "/fails-once");
        await RunAsync(jobs, "/redirect");
        await RunAsync(jobs, "/gone");
        await RunAsync(jobs, "/silent");
        var first = await receiver.NextAsync("/fails-once");
        var (redirect, gone, silent) = (await receiver.NextAsync("/redirect"), await receiver.NextAsync("/gone"),
            await receiver.NextAsync("/silent"));
        await jobs.RunSyncAsync(1);
        var second = await receiver.NextAsync("/fails-once");
        Assert.Equal(first.Id, second.Id);
        Assert.NotEqual(first.Timestamp, second.Timestamp);
        await DeliveredAsync(gateway, first.Id, notes: 2);
        Assert.Equal("failed", (string?)(await DeliveryAsync(gateway, gone.Id))["state"]);
        Assert.Contains("responded with status 307", (await DeliveryAsync(gateway, redirect.Id))["log"]!.ToJsonString(),
            StringComparison.Ordinal);
        Assert.Equal(0, receiver.Count("/elsewhere"));
        var waited = await Eventually.BecomesAsync(
            () => DeliveryAsync(gateway, silent.Id), d => d["log"]!.AsArray().Count > 0);
        Assert.Contains("no complete response within 15 s", waited["log"]!.ToJsonString(), StringComparison.Ordinal);
        Assert.Equal("pending", (string?)waited["state"]);
        await jobs.QuietAsync();
        FaultMatrix.Seen("H1", $"a response of 410: failed immediately");
        FaultMatrix.Seen("H2", $"silence: given up after 15 s, tried again later");
        FaultMatrix.Seen("H3", $"307: tried again later, {receiver.Count("/elsewhere")} requests where it points to");
    }

    [Fact]
    public async Task A_delivery_whose_job_data_was_deleted_fails_and_is_not_sent_incomplete()
    {
        await using var gateway = await cluster.StartAsync(
            manifest: Jobs.Manifest(cluster.Log, more: "jobs: { retention: 1s }"));
        await RunAsync(new Jobs(gateway), "/fails-once");
        var first = await receiver.NextAsync("/fails-once");
        await Eventually.HoldsAsync(async () =>
            (string?)(await DeliveryAsync(gateway, first.Id))["state"] == "failed");
        Assert.Contains("was deleted after jobs.retention",
            (await DeliveryAsync(gateway, first.Id))["log"]!.ToJsonString(), StringComparison.Ordinal);
        Assert.Equal(1, receiver.Count("/fails-once"));
    }

    [Trait("Fault", "H2")]
    [Fact]
    public async Task A_slow_or_endless_response_delays_only_its_delivery_for_a_bounded_time()
    {
        await using var gateway = await cluster.StartAsync();
        var jobs = new Jobs(gateway);
        await RunAsync(jobs, "/flood");
        var flood = await receiver.NextAsync("/flood");
        await DeliveredAsync(gateway, flood.Id);
        await RunAsync(jobs, "/drip");
        var drip = await receiver.NextAsync("/drip");
        await RunAsync(jobs, "/ok");
        await receiver.NextAsync("/ok");
        await Eventually.HoldsAsync(async () => (await DeliveryAsync(gateway, drip.Id))["log"]!.AsArray().Count > 0);
        // The number includes bytes in the socket buffers.
        Assert.InRange(receiver.Poured, 1, 32 << 20);
        Assert.Contains("no complete response within 15 s",
            (await DeliveryAsync(gateway, drip.Id))["log"]!.ToJsonString(), StringComparison.Ordinal);
        FaultMatrix.Seen("H2", $"a byte each 100 ms: given up after 15 s; ",
            $"an answer of 1 GiB: {receiver.Poured / 1024.0 / 1024:0.0} MiB left the receiver ",
            $"(buffers of the sockets), delivered");
    }

    [Fact]
    public async Task A_missing_result_file_is_logged_and_the_delivery_keeps_its_schedule()
    {
        await using var gateway = await cluster.StartAsync();
        var jobs = new Jobs(gateway);
        var id = await jobs.RunAsync(new JsonObject { ["do"] = "huge", ["mib"] = 1 },
            $"\"webhook\":\"{receiver.Url}/fails-once\"");
        var first = await receiver.NextAsync("/fails-once");
        foreach (var file in Directory.EnumerateFiles(cluster.Payloads, "*", SearchOption.AllDirectories))
            if (new FileInfo(file).Length > 1 << 20) File.Delete(file);
        using var status = await gateway.Client.GetAsync(new Uri($"/v2/stub/status/{id}", UriKind.Relative));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, status.StatusCode);
        Assert.Contains("SLUICE_PAYLOADS", await status.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        await Eventually.HoldsAsync(async () =>
            (await DeliveryAsync(gateway, first.Id))["log"]!.AsArray().Count > 1);
        Assert.Contains("SLUICE_PAYLOADS", (await DeliveryAsync(gateway, first.Id))["log"]![1]!.ToJsonString(),
            StringComparison.Ordinal);
        Assert.Equal("pending", (string?)(await DeliveryAsync(gateway, first.Id))["state"]);
    }

    [Fact]
    public async Task A_delivery_that_cannot_be_read_is_logged_and_others_are_delivered()
    {
        await using var gateway = await cluster.StartAsync();
        var (db, keys) = (cluster.Redis.Store.Database, new JobKeys("stub"));
        await db.StringSetAsync(keys.Hook("broken"), "not a hash");
        await db.SortedSetAddAsync(keys.Outbox, "broken", 1);
        await RunAsync(new Jobs(gateway), "/ok");
        await DeliveredAsync(gateway, (await receiver.NextAsync("/ok")).Id);
        await gateway.EventAsync("DeliveriesUnreadable", 0, ("Endpoint", "stub"), ("Delivery", "broken"));
    }

    [Trait("Fault", "H7")]
    [Theory]
    [InlineData("after-end")]
    [InlineData("after-take")]
    [InlineData("after-delivery")]
    public async Task A_delivery_is_sent_although_its_gateway_dies_between_result_and_delivery(string point)
    {
        var a = await cluster.StartAsync(more: new() { ["SLUICE_CRASH_AT"] = point });
        await RunAsync(new Jobs(a), "/ok");
        Assert.Equal(128 + ChildProcess.Sigkill, await a.Process.ExitAsync());
        await using var b = await cluster.StartAsync();
        var before = point == "after-delivery" ? await receiver.NextAsync("/ok") : null;
        var got = await receiver.NextAsync("/ok");
        if (before is not null) Assert.Equal(before.Id, got.Id);
        await DeliveredAsync(b, got.Id);
        await new Jobs(b).QuietAsync();
        await a.DisposeAsync();
        FaultMatrix.Seen("H7", $"dead {point}: delivered");
    }

    private Task<string> RunAsync(Jobs jobs, string path) => jobs.RunAsync(1, $"\"webhook\":\"{receiver.Url}{path}\"");

    private static Task<JsonObject> DeliveryAsync(GatewayProcess gateway, string id) =>
        gateway.GetAsync($"/api/v1/endpoints/stub/webhooks/{id}");

    private static Task<JsonObject> DeliveredAsync(GatewayProcess gateway, string id, int notes = 1) =>
        Eventually.BecomesAsync(() => DeliveryAsync(gateway, id),
            d => (string?)d["state"] == "delivered" && d["log"]!.AsArray().Count >= notes);

    private static string Hmac(string secret, Received got) => Convert.ToBase64String(HMACSHA256.HashData(
        Convert.FromBase64String(secret["whsec_".Length..]),
        Encoding.UTF8.GetBytes($"{got.Id}.{got.Timestamp}.{got.Body}")));
}
