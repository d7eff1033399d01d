using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Tests the ledger with a real gateway and worker: who used what, in which form it is read.</summary>
public sealed class UsageTest(JobsGateway shared) : IClassFixture<JobsGateway>
{
    private readonly InProcessGateway gateway = shared.Gateway;

    [Fact]
    public async Task Requests_and_jobs_count_for_their_key_and_its_tags()
    {
        var (first, firstClient) = await KeyAsync("vision");
        var (second, secondClient) = await KeyAsync("speech");
        using (firstClient)
        using (secondClient)
        {
            for (var i = 0; i < 3; i++)
                Assert.Equal("ready", await firstClient.GetStringAsync(new Uri("/e/stub/ready", UriKind.Relative)));
            using (var missing = await firstClient.GetAsync(new Uri("/e/stub/nothing", UriKind.Relative)))
                Assert.Equal(HttpStatusCode.NotFound, missing.StatusCode);
            var jobs = new Jobs(gateway, client: secondClient);
            var ended = await jobs.EndAsync(await jobs.RunAsync(new JsonObject { ["do"] = "sleep", ["ms"] = 50 }));
            Assert.Equal("COMPLETED", (string?)ended["status"]);
            await jobs.EndAsync(await jobs.RunAsync(new JsonObject { ["do"] = "error" }));

            var byKey = await gateway.UntilAsync("/api/v1/usage?groupBy=key", u =>
                (int?)Group(u, first)?["requests"] == 4 && (int?)Group(u, second)?["jobs"]!["failed"] == 1);
            var (one, two) = (Group(byKey, first)!, Group(byKey, second)!);
            Assert.Equal((1, 15), ((int)one["errors"]!, (int)one["bytesOut"]!));
            Assert.Equal((1, 0), ((int)two["jobs"]!["completed"]!, (int)two["requests"]!));
            Assert.True((long)two["bytesIn"]! > 0 && (long)two["bytesOut"]! > 0);
            // The job used a slot of four for at least 50 ms.
            Assert.InRange((double)two["workerSeconds"]!["busy"]!, 0.012, 5);
            var byTag = await gateway.GetAsync("/api/v1/usage?groupBy=tag&endpoint=stub&step=month");
            Assert.Equal(4, (int)Group(byTag, "team=vision")!["requests"]!);
            Assert.Equal(1, (int)Group(byTag, "team=speech")!["jobs"]!["completed"]!);

            var own = await firstClient.GetFromJsonAsync<JsonObject>(new Uri("/api/v1/key", UriKind.Relative));
            var month = own!["usage"]!["usage"]!;
            Assert.Equal((first, 4), ((string?)month["group"], (int)month["requests"]!));
            using var refused = await firstClient.GetAsync(new Uri("/api/v1/usage", UriKind.Relative));
            Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        }

        Assert.True((bool)(await gateway.GetAsync("/api/v1/admin/check"))["ok"]!);
    }

    [Fact]
    public async Task The_time_of_workers_has_a_price()
    {
        var jobs = new Jobs(gateway);
        await jobs.EndAsync(await jobs.RunAsync(new JsonObject { ["do"] = "echo" }));
        using (var answer = await gateway.Client.PutAsJsonAsync("/api/v1/prices", new
        {
            currency = "EUR",
            prices = new object[] { new { gpu = "cpu", from = "2020-01-01T00:00:00Z", perHour = 3600 } },
        })) Assert.Equal(HttpStatusCode.OK, answer.StatusCode);

        // Without a name: an endpoint with jobs only is one of those that have usage.
        var usage = await gateway.UntilAsync("/api/v1/usage", u =>
            Group(u, "stub") is { } line && (double)line["workerSeconds"]!["idle"]! > 0);
        var stub = Group(usage, "stub")!;
        var seconds = stub["workerSeconds"]!;
        Assert.True((double)seconds["starting"]! > 0 && (int)stub["coldStarts"]! >= 1);
        Assert.Equal((double)seconds["starting"]! + (double)seconds["busy"]! + (double)seconds["idle"]!,
            (double)stub["cost"]!, 0.01);
        Assert.Equal("EUR", (string?)usage["currency"]);
        var csv = await gateway.Client.GetStringAsync(
            new Uri("/api/v1/usage?endpoint=stub&format=csv", UriKind.Relative));
        Assert.StartsWith("at,group,requests,", csv, StringComparison.Ordinal);
        Assert.Contains(",stub,", csv, StringComparison.Ordinal);

        using var wrong = await gateway.Client.GetAsync(new Uri("/api/v1/usage?step=year", UriKind.Relative));
        Assert.Equal(HttpStatusCode.BadRequest, wrong.StatusCode);
        Assert.Contains("step is 'year'", await wrong.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    private static JsonNode? Group(JsonObject usage, string group) =>
        usage["usage"]!.AsArray().SingleOrDefault(u => (string?)u!["group"] == group);

    private async Task<(string Id, HttpClient Client)> KeyAsync(string team)
    {
        using var answer = await gateway.Client.PostAsJsonAsync(
            "/api/v1/keys", new { name = team, invoke = new[] { "stub" }, tags = new { team } });
        var key = (await answer.Content.ReadFromJsonAsync<JsonObject>())!;
        return ((string)key["record"]!["id"]!, gateway.ClientFor((string)key["key"]!));
    }
}
