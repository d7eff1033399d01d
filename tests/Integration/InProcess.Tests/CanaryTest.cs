using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Tests that an endpoint and its canary share requests and jobs, with real workers.</summary>
public sealed class CanaryTest : IAsyncLifetime
{
    private const string Header = "X-Sluice-Endpoint";

    private readonly string log = Path.GetTempFileName();
    private InProcessGateway gateway = null!;
    private Jobs jobs = null!;

    public async ValueTask InitializeAsync()
    {
        gateway = await InProcessGateway.StartAsync(Jobs.Manifest(log, max: 1, concurrency: 16));
        jobs = new Jobs(gateway);
    }

    public async ValueTask DisposeAsync()
    {
        await jobs.QuietAsync();
        await new Jobs(gateway, "next").QuietAsync();
        await gateway.DisposeAsync();
        StubLog.Delete(log);
    }

    [Fact]
    public async Task Requests_are_shared_by_weight()
    {
        await DeclareAsync(30);
        const int requests = 400;
        var served = new List<string?>();
        foreach (var _ in Enumerable.Range(0, requests / 20))
            served.AddRange(await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => AskAsync("/v1/embeddings"))));

        var canary = served.Count(e => e == "next");
        // Five standard deviations of 400 draws with 30 percent are 46 requests.
        Assert.InRange(canary, 74, 166);
        Assert.Equal(requests - canary, served.Count(e => e is null));
        Assert.Equal(canary, await gateway.MetricAsync("sluice_requests_total", "endpoint=\"next\""));
        var models = await gateway.GetAsync("/v1/models");
        Assert.Equal(["stub"], models["data"]!.AsArray().Select(m => (string?)m!["id"]));
    }

    [Fact]
    public async Task A_request_that_names_a_version_or_the_canary_is_not_shared()
    {
        await DeclareAsync(100);
        Assert.Equal("next", await AskAsync("/v2/models/stub/infer", HttpStatusCode.NotFound));
        Assert.Null(await AskAsync("/v2/models/stub/versions/1/infer", HttpStatusCode.NotFound));
        Assert.Equal("next", await AskAsync("/e/stub/v1/embeddings"));
        Assert.Null(await AskAsync("/e/next/v1/embeddings"));

        await PatchAsync("""{"scaling":{"pause":"refuse"}}""");
        Assert.Null(await AskAsync("/e/stub/v1/embeddings"));
    }

    [Fact]
    public async Task A_job_of_the_canary_is_found_at_the_endpoint_that_it_names()
    {
        await DeclareAsync(100);
        using var stranger = await ClientAsync("stub");
        using var owner = await ClientAsync("stub");
        var own = new Jobs(gateway, "stub", owner);
        var id = await own.RunAsync(new JsonObject { ["do"] = "stream", ["chunks"] = 3 });
        Assert.EndsWith("-next", id, StringComparison.Ordinal);
        var job = await own.EndAsync(id);
        Assert.Equal("COMPLETED", (string?)job["status"]);
        Assert.StartsWith("next-", (string?)job["workerId"], StringComparison.Ordinal);
        using var unknown = await stranger.GetAsync(new Uri($"/v2/stub/status/{id}", UriKind.Relative));
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
        Assert.Contains(
            "Endpoint 'stub' has no job", await unknown.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.False(unknown.Headers.Contains(Header), "a stranger learns which endpoints exist");
        using var other = await owner.GetAsync(new Uri($"/v2/next/status/{id}", UriKind.Relative));
        Assert.Equal(HttpStatusCode.Forbidden, other.StatusCode);

        var endless = await own.RunAsync(new JsonObject { ["do"] = "sleep", ["ms"] = 600_000 });
        await own.StatusAsync(endless, "IN_PROGRESS");
        // Also after the share has ended.
        await PatchAsync("""{"canary":{"weight":0}}""");
        using var cancelled = await own.PostAsync($"cancel/{endless}");
        Assert.Equal(HttpStatusCode.OK, cancelled.StatusCode);
        Assert.Equal("CANCELLED", (string?)(await own.EndAsync(endless))["status"]);
        var sync = await own.RunSyncAsync(new JsonObject { ["do"] = "echo" });
        Assert.Equal(36, ((string)sync["id"]!).Length);
    }

    [Fact]
    public async Task An_Idempotency_Key_keeps_its_job_when_the_weight_changes()
    {
        await DeclareAsync(50);
        var first = await SubmitAllAsync();
        Assert.Contains(first, id => id.EndsWith("-next", StringComparison.Ordinal));
        Assert.Contains(first, id => !id.EndsWith("-next", StringComparison.Ordinal));
        Assert.Equal(first, await SubmitAllAsync());
        await PatchAsync("""{"canary":{"weight":0}}""");
        Assert.Equal(first, await SubmitAllAsync());
        await PatchAsync("""{"canary":{"weight":100}}""");
        Assert.Equal(first, await SubmitAllAsync());
        foreach (var id in first) Assert.Equal("COMPLETED", (string?)(await jobs.EndAsync(id))["status"]);
    }

    [Fact]
    public async Task A_canary_that_cannot_take_the_requests_is_rejected()
    {
        await DeclareAsync(60);
        var weight = await ErrorAsync(
            """{"id":"other","template":"stub","models":["stub"],"canary":{"of":"stub","weight":41}}""");
        Assert.Equal(("canary.weight", "41"), weight);
        var models = await ErrorAsync("""{"id":"other","template":"stub","canary":{"of":"stub","weight":1}}""");
        Assert.Equal(("models", "other"), models);
        using var deletion = await gateway.Client.DeleteAsync(
            new Uri("/api/v1/endpoints/stub?dryRun=true", UriKind.Relative));
        Assert.Equal(HttpStatusCode.Conflict, deletion.StatusCode);
        var chain = await ErrorAsync("""{"id":"other","template":"stub","models":["stub"],"canary":{"of":"next"}}""");
        Assert.Equal(("canary.of", "next"), chain);
    }

    private async Task DeclareAsync(int weight)
    {
        var declaration = new JsonObject
        {
            ["id"] = "next",
            ["template"] = "stub",
            ["models"] = new JsonArray("stub"),
            ["scaling"] = new JsonObject { ["max"] = 1, ["idleTimeout"] = "600s" },
            ["canary"] = new JsonObject { ["of"] = "stub", ["weight"] = weight },
        };
        using var response = await gateway.Client.PostAsJsonAsync("/api/v1/endpoints", declaration);
        Assert.True(response.StatusCode == HttpStatusCode.Created, await response.Content.ReadAsStringAsync());
    }

    private async Task PatchAsync(string patch)
    {
        using var response = await gateway.Client.PatchAsync(
            new Uri("/api/v1/endpoints/next", UriKind.Relative), new StringContent(patch));
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
    }

    private async Task<(string? Field, string? Value)> ErrorAsync(string declaration)
    {
        using var response = await gateway.Client.PostAsync(
            new Uri("/api/v1/endpoints", UriKind.Relative), new StringContent(declaration));
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        var error = (await response.Content.ReadFromJsonAsync<JsonObject>())!["errors"]!.AsArray()[^1]!;
        return ((string?)error["field"], (string?)error["value"]);
    }

    /// <summary>Sends a request, and returns the endpoint that the response names as the one that handled it.</summary>
    private async Task<string?> AskAsync(string path, HttpStatusCode expected = HttpStatusCode.OK)
    {
        using var response = await gateway.Client.PostAsync(
            new Uri(path, UriKind.Relative), new StringContent("""{"model":"stub","input":"a"}"""));
        Assert.True(response.StatusCode == expected, await response.Content.ReadAsStringAsync());
        return response.Headers.TryGetValues(Header, out var values) ? values.Single() : null;
    }

    private async Task<List<string>> SubmitAllAsync()
    {
        var ids = new List<string>();
        for (var i = 0; i < 20; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v2/stub/run")
            {
                Content = new StringContent(Jobs.Body(new JsonObject { ["do"] = "echo", ["n"] = i })),
            };
            request.Headers.Add("Idempotency-Key", $"order-{i}");
            using var response = await gateway.Client.SendAsync(request);
            ids.Add((string)(await response.EnsureSuccessStatusCode().Content.ReadFromJsonAsync<JsonObject>())!["id"]!);
        }

        return ids;
    }

    /// <summary>Returns a client whose key may only use one endpoint.</summary>
    private async Task<HttpClient> ClientAsync(string endpoint)
    {
        using var response = await gateway.Client.PostAsJsonAsync("/api/v1/keys", new JsonObject
        {
            ["name"] = "app", ["invoke"] = new JsonArray(endpoint),
        });
        var key = (string)(await response.Content.ReadFromJsonAsync<JsonObject>())!["key"]!;
        var client = new HttpClient { BaseAddress = gateway.Client.BaseAddress };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        return client;
    }
}
