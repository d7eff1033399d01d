using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>Webhooks of jobs, to a receiver that answers as a test wants: rows H of the fault matrix.</summary>
public sealed class WebhooksTest : IAsyncLifetime
{
    private readonly RedisFixture redis = new();
    private readonly string log = Path.GetTempFileName();
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-payloads-").FullName;
    private readonly Receiver receiver = new();

    public Task InitializeAsync() => redis.InitializeAsync();

    public async Task DisposeAsync()
    {
        receiver.Dispose();
        await redis.DisposeAsync();
        StubLog.Delete(log);
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task H8_a_delivery_is_the_status_signed_with_both_secrets_while_they_rotate()
    {
        await using var gateway = await StartAsync();
        var jobs = new Jobs(gateway);
        var id = await RunAsync(jobs, "/ok");
        var got = await receiver.NextAsync("/ok");
        var old = (string)(await gateway.GetAsync("/api/v1/endpoints/stub/webhook-secret"))["values"]![0]!;
        Assert.Equal("COMPLETED", (string?)JsonNode.Parse(got.Body)!["status"]);
        Assert.Equal(id, (string?)JsonNode.Parse(got.Body)!["id"]);
        Assert.Equal($"v1,{Hmac(old, got)}", got.Signature);

        using var rotated = await gateway.Client.PostAsync(new Uri("/api/v1/endpoints/stub/webhook-secret/rotate", UriKind.Relative), null);
        var fresh = (string)(await rotated.Content.ReadFromJsonAsync<JsonObject>())!["values"]![0]!;
        await RunAsync(jobs, "/ok");
        var second = await receiver.NextAsync("/ok");
        Assert.Equal($"v1,{Hmac(fresh, second)} v1,{Hmac(old, second)}", second.Signature);

        await DeliveredAsync(gateway, got.Id);
        using var again = await gateway.Client.PostAsync(new Uri($"/api/v1/endpoints/stub/webhooks/{got.Id}/redeliver", UriKind.Relative), null);
        Assert.Equal(HttpStatusCode.OK, again.StatusCode);
        Assert.Equal(got.Id, (await receiver.NextAsync("/ok")).Id);
        Assert.Equal(2, (await DeliveredAsync(gateway, got.Id, notes: 2))["log"]!.AsArray().Count);
    }

    [Fact]
    public async Task H1_H2_H3_failures_are_tried_again_redirects_not_followed_and_410_is_the_end()
    {
        await using var gateway = await StartAsync();
        var jobs = new Jobs(gateway);
        await RunAsync(jobs, "/fails-once");
        await RunAsync(jobs, "/redirect");
        await RunAsync(jobs, "/gone");
        await RunAsync(jobs, "/silent");
        var first = await receiver.NextAsync("/fails-once");
        var (redirect, gone, silent) = (await receiver.NextAsync("/redirect"), await receiver.NextAsync("/gone"), await receiver.NextAsync("/silent"));
        await jobs.RunSyncAsync(1);
        var second = await receiver.NextAsync("/fails-once");
        Assert.Equal(first.Id, second.Id);
        Assert.NotEqual(first.Timestamp, second.Timestamp);
        await DeliveredAsync(gateway, first.Id, notes: 2);
        Assert.Equal("failed", (string?)(await DeliveryAsync(gateway, gone.Id))["state"]);
        Assert.Contains("answered 307", (await DeliveryAsync(gateway, redirect.Id))["log"]!.ToJsonString(), StringComparison.Ordinal);
        Assert.Equal(0, receiver.Count("/elsewhere"));
        JsonObject waited;
        do
        {
            waited = await DeliveryAsync(gateway, silent.Id);
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System);
        }
        while (waited["log"]!.AsArray().Count == 0);
        Assert.Contains("no whole answer within 15 s", waited["log"]!.ToJsonString(), StringComparison.Ordinal);
        Assert.Equal("pending", (string?)waited["state"]);
        await jobs.QuietAsync();
    }

    [Theory]
    [InlineData("after-end")]
    [InlineData("after-take")]
    [InlineData("after-delivery")]
    public async Task H7_a_gateway_that_dies_between_result_and_delivery_does_not_keep_it_from_being_sent(string point)
    {
        var a = await StartAsync(new() { ["SLUICE_CRASH_AT"] = point });
        await RunAsync(new Jobs(a), "/ok");
        Assert.Equal(128 + ChildProcess.Sigkill, await a.Process.ExitAsync());
        await using var b = await StartAsync();
        var before = point == "after-delivery" ? await receiver.NextAsync("/ok") : null;
        var got = await receiver.NextAsync("/ok");
        if (before is not null) Assert.Equal(before.Id, got.Id);
        await DeliveredAsync(b, got.Id);
        await new Jobs(b).QuietAsync();
        await a.DisposeAsync();
    }

    private Task<string> RunAsync(Jobs jobs, string path) => jobs.RunAsync(1, $"\"webhook\":\"{receiver.Url}{path}\"");

    private static Task<JsonObject> DeliveryAsync(GatewayProcess gateway, string id) => gateway.GetAsync($"/api/v1/endpoints/stub/webhooks/{id}");

    private static async Task<JsonObject> DeliveredAsync(GatewayProcess gateway, string id, int notes = 1)
    {
        using var limit = new CancellationTokenSource(ChildProcess.Patience, TimeProvider.System);
        while (true)
        {
            var delivery = await DeliveryAsync(gateway, id);
            if ((string?)delivery["state"] == "delivered" && delivery["log"]!.AsArray().Count >= notes) return delivery;
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, limit.Token);
        }
    }

    private static string Hmac(string secret, Received got) => Convert.ToBase64String(HMACSHA256.HashData(
        Convert.FromBase64String(secret["whsec_".Length..]), Encoding.UTF8.GetBytes($"{got.Id}.{got.Timestamp}.{got.Body}")));

    private Task<GatewayProcess> StartAsync(Dictionary<string, string?>? more = null)
    {
        var environment = new Dictionary<string, string?>
        {
            ["SLUICE_REDIS"] = redis.ConnectionString,
            ["SLUICE_ADMIN_KEY"] = "one-admin-key-of-all-gateways",
            ["SLUICE_PAYLOADS"] = folder,
            ["SLUICE_WEBHOOK_ALLOW"] = "127.0.0.0/8",
        };
        foreach (var (name, value) in more ?? []) environment[name] = value;
        return GatewayProcess.StartAsync(Jobs.Manifest(log), environment: environment);
    }

    private sealed record Received(string Path, string Id, string Timestamp, string Signature, string Body);

    /// <summary>Answers by path, and keeps what came.</summary>
    private sealed class Receiver : IDisposable
    {
        private readonly HttpListener listener = new();
        private readonly ConcurrentDictionary<string, System.Threading.Channels.Channel<Received>> got = [];
        private readonly ConcurrentDictionary<string, int> counts = [];

        public Receiver()
        {
            using (var free = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0))
            {
                free.Start();
                Url = $"http://127.0.0.1:{((IPEndPoint)free.LocalEndpoint).Port}";
            }

            listener.Prefixes.Add(Url + "/");
            listener.Start();
            _ = ServeAsync();
        }

        public string Url { get; }

        public int Count(string path) => counts.GetValueOrDefault(path);

        public async Task<Received> NextAsync(string path)
        {
            using var limit = new CancellationTokenSource(ChildProcess.Patience, TimeProvider.System);
            return await Of(path).Reader.ReadAsync(limit.Token);
        }

        public void Dispose() => listener.Abort();

        private System.Threading.Channels.Channel<Received> Of(string path) =>
            got.GetOrAdd(path, _ => System.Threading.Channels.Channel.CreateUnbounded<Received>());

        private async Task ServeAsync()
        {
            try
            {
                while (true) _ = AnswerAsync(await listener.GetContextAsync());
            }
            catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
            {
                // Disposed.
            }
        }

        private async Task AnswerAsync(HttpListenerContext context)
        {
            var path = context.Request.Url!.AbsolutePath;
            using var reader = new StreamReader(context.Request.InputStream);
            var body = await reader.ReadToEndAsync();
            var count = counts.AddOrUpdate(path, 1, (_, n) => n + 1);
            string Header(string name) => context.Request.Headers[name] ?? "";
            Of(path).Writer.TryWrite(new Received(path, Header("webhook-id"), Header("webhook-timestamp"), Header("webhook-signature"), body));
            if (path == "/silent") return;
            context.Response.StatusCode = path switch { "/fails-once" when count == 1 => 500, "/redirect" => 307, "/gone" => 410, _ => 200 };
            if (path == "/redirect") context.Response.Headers["Location"] = "/elsewhere";
            context.Response.Close();
        }
    }
}
