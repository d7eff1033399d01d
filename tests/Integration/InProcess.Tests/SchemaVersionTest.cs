using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Sluice.Domain.Fleet;
using Sluice.Domain.Schema;
using Sluice.Storage.Redis;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>
/// A rolling upgrade of the data in Redis: gateways of an earlier build keep its version, and what needs a newer one is
/// refused until then.
/// </summary>
public sealed class SchemaVersionTest : IDisposable
{
    private const string Old = "old-host";

    private readonly string log = Path.GetTempFileName();

    public void Dispose() => StubLog.Delete(log);

    [Fact]
    public async Task Batches_are_refused_while_an_earlier_gateway_runs_and_accepted_after_it()
    {
        var redis = new RedisFixture();
        await redis.InitializeAsync();
        await using var server = redis;
        var earlier = new EarlierGateway(redis.Store.Database, Old);
        Assert.True(await earlier.StartAsync());
        await using var gateway = await InProcessGateway.StartAsync(
            Jobs.Manifest(log, max: 0), redis: redis, schema: Fast());

        using (var refused = await CreateBatchAsync(gateway))
        {
            var error = (await refused.Content.ReadFromJsonAsync<JsonObject>())!["error"]!;
            Assert.Equal((HttpStatusCode.ServiceUnavailable, "30", "schema_not_active"),
                (refused.StatusCode, refused.Headers.RetryAfter!.ToString(), (string?)error["code"]));
            Assert.Contains($"earlier version of Sluice: {Old}.", (string)error["message"]!, StringComparison.Ordinal);
        }

        using (var refused = await gateway.Client.PostAsJsonAsync(
            "/v1/responses", new { model = "stub", input = "x", background = true }))
        {
            var error = (await refused.Content.ReadFromJsonAsync<JsonObject>())!["error"]!;
            Assert.Equal((HttpStatusCode.ServiceUnavailable, "schema_not_active"),
                (refused.StatusCode, (string?)error["code"]));
        }

        var schema = (await gateway.GetAsync("/api/v1/hosts"))["schema"]!;
        Assert.Equal((2, 2, 3), ((int)schema["active"]!, (int)schema["oldest"]!, (int)schema["newest"]!));
        var own = gateway.Services.GetRequiredService<HostId>().Value;
        Assert.Equal([(Old, 2), (own, 3)], schema["gateways"]!.AsArray()
            .Select(g => ((string)g!["hostId"]!, (int)g["newest"]!)).OrderBy(g => g.Item2));
        Assert.Equal(2, await gateway.MetricAsync("sluice_schema_version"));

        await earlier.StopAsync();
        await gateway.Log.EventAsync("SchemaRaiseStarted", ("From", "2"), ("To", "3"));
        await gateway.Log.EventAsync("SchemaVersionRaised", ("From", "2"), ("To", "3"));
        Assert.False(await earlier.StartAsync());
        await Eventually.HoldsAsync(async () =>
        {
            using var accepted = await CreateBatchAsync(gateway);
            return accepted.StatusCode == HttpStatusCode.OK;
        });
        Assert.Equal(3, await gateway.MetricAsync("sluice_schema_version"));

        // It runs although it should not.
        await earlier.RenewAsync();
        await gateway.Log.EventAsync("EarlierGatewayRuns", ("Gateways", Old));
        using var again = await CreateBatchAsync(gateway);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, again.StatusCode);
    }

    [Fact]
    public async Task A_gateway_stops_when_the_data_has_a_version_that_it_does_not_support()
    {
        await using var gateway = await InProcessGateway.StartAsync(Jobs.Manifest(log, max: 0));
        Assert.Equal("3", await gateway.Database.StringGetAsync(EarlierGateway.Schema));
        await gateway.Database.StringSetAsync(EarlierGateway.Schema, 4);
        var stops = await gateway.Log.EventAsync("SchemaVersionUnsupported");
        Assert.Contains("is '4'; expected 2 to 3. A newer version of Sluice raised it", stops["Reason"],
            StringComparison.Ordinal);
        var lifetime = gateway.Services.GetRequiredService<IHostApplicationLifetime>();
        await Eventually.HoldsAsync(() => lifetime.ApplicationStopping.IsCancellationRequested);
    }

    private static ActiveSchema Fast() =>
        new(waits: new SchemaWaits(TimeSpan.FromMilliseconds(100), TimeSpan.FromMilliseconds(100)));

    private static async Task<HttpResponseMessage> CreateBatchAsync(InProcessGateway gateway)
    {
        using var form = new MultipartFormDataContent
        {
            { new StringContent("batch"), "purpose" },
        };
        using var file = new StringContent(
            """{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"stub"}}""",
            Encoding.UTF8, new MediaTypeHeaderValue("application/jsonl"));
        form.Add(file, "file", "a.jsonl");
        using var uploaded = await gateway.Client.PostAsync(new Uri("/v1/files", UriKind.Relative), form);
        var id = (string)(await uploaded.Content.ReadFromJsonAsync<JsonObject>())!["id"]!;
        return await gateway.Client.PostAsJsonAsync("/v1/batches",
            new { input_file_id = id, endpoint = "/v1/chat/completions", completion_window = "24h" });
    }
}
