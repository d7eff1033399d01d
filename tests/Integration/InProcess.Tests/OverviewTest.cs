using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Tests the overview and the series with two gateways, real workers, requests and jobs.</summary>
public sealed class OverviewTest : IAsyncLifetime
{
    private InProcessGateway gateway = null!;

    public async ValueTask InitializeAsync() => gateway = await InProcessGateway.StartAsync($$"""
        templates:
          - name: web
            command: ["{{Repository.StubWorker}}"]
            env: { STUB_POD: "1" }
            protocol: http1
            readyPath: /
        endpoints:
          - { id: app, template: web, scaling: { min: 1, max: 1 } }
          - { id: idle, template: web, public: true, scaling: { max: 1 } }
        """);

    public async ValueTask DisposeAsync() => await gateway.DisposeAsync();

    [Fact]
    public async Task Two_gateways_add_up_and_idle_endpoints_store_nothing()
    {
        await using var other = await gateway.StartAnotherAsync();
        for (var i = 0; i < 5; i++)
            foreach (var client in new[] { gateway.Client, other.Client })
                using (var answer = await client.GetAsync(new Uri("/e/app/page", UriKind.Relative)))
                    Assert.Equal(HttpStatusCode.OK, answer.StatusCode);

        // Both gateways serve the sum. A step ends every 10 s.
        foreach (var at in new[] { gateway, other })
        {
            var series = await at.UntilAsync("/api/v1/series?endpoint=app&minutes=5", s => Sum(s, "requests") >= 10);
            Assert.Equal(10, Sum(series, "requests"));
            Assert.Equal(0, Sum(series, "errors"));
            Assert.Equal(10, (int)series["stepSeconds"]!);
            Assert.Equal(30, series["times"]!.AsArray().Count);
            var busy = series["requests"]!.AsArray().Select((r, n) => (Requests: (long)r!, Step: n))
                .Last(s => s.Requests > 0).Step;
            Assert.True((double)series["totalP50Ms"]![busy]! > 0);
            Assert.Equal(1, (int)series["workersReady"]![busy]!);
            Assert.Null(series["totalP50Ms"]![0]);
        }

        Assert.Equal(10, Sum(await gateway.UntilAsync("/api/v1/series", s => Sum(s, "requests") >= 10), "requests"));
        var keys = (string[])(await gateway.Database.ExecuteAsync("KEYS", "sluice:*:series:*"))!;
        Assert.All(keys, k => Assert.StartsWith("sluice:{app}:", k, StringComparison.Ordinal));
        // At most one field for each gateway, step and resolution: nothing is written for each request.
        foreach (var key in keys)
        {
            var fields = (await gateway.Database.HashKeysAsync(key)).Select(f => (string)f!).ToList();
            Assert.True(fields.Select(f => f.Split(':')[1]).Distinct().Count() <= 2);
            Assert.InRange(fields.Count, 1, 12);
        }
    }

    [Fact]
    public async Task The_overview_shows_what_runs_and_is_followed_until_the_key_is_revoked()
    {
        await gateway.UntilAsync("/api/v1/overview", o => (int?)o["workers"]!["ready"] == 1);
        using (var answer = await gateway.Client.GetAsync(new Uri("/e/app/page", UriKind.Relative)))
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        var overview = await gateway.UntilAsync("/api/v1/overview", o => (double)o["requestsPerSecond"]! > 0);
        Assert.Equal(1, (int)overview["gateways"]!);
        Assert.Equal((0, 0), ((int)overview["queued"]!, (int)overview["gpus"]!["used"]!));
        var endpoints = overview["endpoints"]!.AsArray();
        Assert.Equal(["app", "idle"], endpoints.Select(e => (string?)e!["id"]));
        Assert.Equal((1, "web", false), ((int)endpoints[0]!["workers"]!["ready"]!, (string?)endpoints[0]!["template"],
            (bool)endpoints[0]!["public"]!));
        Assert.True((double)endpoints[0]!["p95Ms"]! > 0);
        Assert.Equal(0, (double)endpoints[1]!["requestsPerSecond"]!);
        Assert.Null(endpoints[1]!["p95Ms"]);

        using var created = await gateway.Client.PostAsync("/api/v1/keys", new StringContent("""{"read":true}"""));
        var key = JsonNode.Parse(await created.Content.ReadAsStringAsync())!;
        using var reader = gateway.ClientFor((string)key["key"]!);
        using var limit = new CancellationTokenSource(ChildProcess.Patience);
        await using var stream = await reader.GetStreamAsync("/api/v1/overview?follow=true", limit.Token);
        using var lines = new StreamReader(stream);
        for (var i = 0; i < 2; i++)
        {
            Assert.Equal("event: overview", await NextAsync(lines, limit.Token));
            var data = await NextAsync(lines, limit.Token);
            Assert.Equal(2, JsonNode.Parse(data!["data: ".Length..])!["endpoints"]!.AsArray().Count);
        }

        using var revoked = await gateway.Client.DeleteAsync($"/api/v1/keys/{key["record"]!["id"]}");
        Assert.True(revoked.IsSuccessStatusCode);
        while (await NextAsync(lines, limit.Token) is not null)
        {
            // The stream ends.
        }
    }

    [Fact]
    public async Task The_overview_has_the_cost_of_an_hour_of_the_workers_with_the_prices_in_force()
    {
        var overview = await gateway.UntilAsync("/api/v1/overview", o => (int?)o["workers"]!["ready"] == 1);
        Assert.Null(overview["costPerHour"]);
        Assert.Null(overview["endpoints"]![0]!["costPerHour"]);
        Assert.Equal(("", 0), ((string?)overview["currency"], (int)overview["unpricedWorkers"]!));

        await PutPricesAsync(("L4", "2020-01-01", 1));
        overview = await gateway.UntilAsync("/api/v1/overview", o => (int)o["unpricedWorkers"]! == 1);
        Assert.Equal(("EUR", 0), ((string?)overview["currency"], (double)overview["costPerHour"]!));

        await PutPricesAsync(("cpu", "2020-01-01", 0.25), ("cpu", "2099-01-01", 9));
        overview = await gateway.UntilAsync("/api/v1/overview", o => (int)o["unpricedWorkers"]! == 0);
        Assert.Equal(0.25, (double)overview["costPerHour"]!);
        Assert.Equal([0.25, 0], overview["endpoints"]!.AsArray().Select(e => (double)e!["costPerHour"]!));
    }

    [Theory]
    [InlineData("/api/v1/series?endpoint=none", 404)]
    [InlineData("/api/v1/series?minutes=0", 400)]
    [InlineData("/api/v1/series?minutes=2881", 400)]
    [InlineData("/api/v1/series?minutes=x", 400)]
    [InlineData("/api/v1/overview?follow=yes", 400)]
    public async Task Wrong_parameters_are_refused(string path, int expected)
    {
        using var answer = await gateway.Client.GetAsync(new Uri(path, UriKind.Relative));
        Assert.Equal(expected, (int)answer.StatusCode);
    }

    private async Task PutPricesAsync(params (string Gpu, string From, double PerHour)[] prices)
    {
        using var answer = await gateway.Client.PutAsJsonAsync("/api/v1/prices", new
        {
            currency = "EUR",
            prices = prices.Select(p => new { gpu = p.Gpu, from = p.From + "T00:00:00Z", perHour = p.PerHour }),
        });
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    private static long Sum(JsonObject series, string name) => series[name]!.AsArray().Sum(v => (long)v!);

    /// <summary>Returns the next line with content that is not a comment; null: the stream has ended.</summary>
    private static async Task<string?> NextAsync(StreamReader lines, CancellationToken ct)
    {
        while (await lines.ReadLineAsync(ct) is { } line)
            if (line.Length > 0 && !line.StartsWith(':')) return line;
        return null;
    }
}
