using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Sluice.Domain.Usage;
using Sluice.Gateway.Usage;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Tests budgets with a real gateway and worker.</summary>
public sealed class BudgetTest(JobsGateway shared) : IClassFixture<JobsGateway>
{
    private readonly InProcessGateway gateway = shared.Gateway;

    [Fact]
    public async Task A_used_budget_refuses_requests_and_jobs_in_the_form_of_their_path()
    {
        var (id, client) = await KeyAsync("first");
        using var own = client;
        var budget = await CreateAsync(
            new { scope = "key", target = id, unit = "requests", window = "month", limit = 2 });
        Assert.Equal(0, (double)budget["used"]!);
        for (var i = 0; i < 2; i++) await own.GetStringAsync(Ready);
        var now = TimeProvider.System.GetUtcNow();

        using var refused = await own.GetAsync(Ready);
        Assert.Equal(HttpStatusCode.PaymentRequired, refused.StatusCode);
        var problem = (await refused.Content.ReadFromJsonAsync<JsonObject>())!;
        CheckExcess(problem["budget"]!, id, now);
        var error = (string)problem["error"]!;
        Assert.Contains($"of key {id} allows 2 requests per month; 2 are used. It resets at ", error,
            StringComparison.Ordinal);
        Assert.Contains(UsageStep.Month.End(now).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture), error,
            StringComparison.Ordinal);
        Assert.True(refused.Headers.RetryAfter!.Delta > TimeSpan.Zero);
        using var chat = await own.PostAsJsonAsync(
            "/v1/chat/completions", new { model = "stub", messages = Array.Empty<int>() });
        Assert.Equal(HttpStatusCode.PaymentRequired, chat.StatusCode);
        var openAi = (await chat.Content.ReadFromJsonAsync<JsonObject>())!["error"]!;
        Assert.Equal(("insufficient_quota", "budget_exceeded"), ((string?)openAi["type"], (string?)openAi["code"]));
        CheckExcess(openAi["budget"]!, id, now);
        using var job = await new Jobs(gateway, client: own).PostAsync("run", Jobs.Body(new JsonObject()));
        Assert.Equal(HttpStatusCode.PaymentRequired, job.StatusCode);
        var runPod = (await job.Content.ReadFromJsonAsync<JsonObject>())!;
        Assert.Equal((402, (string?)runPod["detail"]), ((int)runPod["status"]!, (string?)runPod["error"]));
        CheckExcess(runPod["budget"]!, id, now);

        // Another key is in no budget. Without the budget, the key may continue.
        await gateway.Client.GetStringAsync(Ready);
        var listed = (await gateway.GetAsync("/api/v1/budgets"))["budgets"]!.AsArray();
        Assert.Equal(2, (double)listed.Single(b => (string)b!["target"]! == id)!["used"]!);
        var path = new Uri($"/api/v1/budgets/{budget["id"]}", UriKind.Relative);
        using (var deleted = await gateway.Client.DeleteAsync(path))
            Assert.Equal(HttpStatusCode.NoContent, deleted.StatusCode);
        await own.GetStringAsync(Ready);
    }

    [Fact]
    public async Task A_burst_of_64_clients_gets_exactly_the_requests_of_its_budget()
    {
        const int clients = 64, limit = 1000;
        await gateway.Client.GetStringAsync(Ready);
        var (id, client) = await KeyAsync("burst");
        using var own = client;
        var budget = await CreateAsync(
            new { scope = "key", target = id, unit = "requests", window = "month", limit });
        var granted = 0;
        await Task.WhenAll(Enumerable.Range(0, clients).Select(async _ =>
        {
            while (true)
            {
                using var answer = await own.GetAsync(Ready);
                if (answer.StatusCode == HttpStatusCode.PaymentRequired) return;
                // A full queue is no use of the budget.
                if (answer.StatusCode == HttpStatusCode.TooManyRequests) continue;
                Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
                Interlocked.Increment(ref granted);
            }
        }));

        Assert.Equal(limit, granted);
        await gateway.UntilAsync($"/api/v1/budgets/{budget["id"]}", b => (double)b["used"]! == limit);
        await gateway.UntilAsync("/api/v1/usage?groupBy=key&key=" + id,
            u => u["usage"]!.AsArray().Sum(line => (int)line!["requests"]!) == limit);
    }

    [Fact]
    public async Task A_burst_of_64_clients_exceeds_a_budget_of_tokens_by_at_most_what_is_in_flight()
    {
        const int clients = 64, limit = 100_000, used = 33;
        await gateway.Client.GetStringAsync(Ready);
        var (id, client) = await KeyAsync("tokens");
        using var own = client;
        var budget = await CreateAsync(
            new { scope = "key", target = id, unit = "tokens", window = "month", limit });
        // Each text is expected to generate 16 tokens, and generates 22.
        var body = new { model = "stub", @do = "usage", prompt = "a", max_tokens = 16 };
        var granted = 0;
        await Task.WhenAll(Enumerable.Range(0, clients).Select(async _ =>
        {
            while (true)
            {
                using var answer = await own.PostAsJsonAsync("/v1/completions", body);
                if (answer.StatusCode == HttpStatusCode.PaymentRequired) return;
                if (answer.StatusCode == HttpStatusCode.TooManyRequests) continue;
                Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
                Interlocked.Increment(ref granted);
            }
        }));

        Assert.InRange(granted * used, limit - (clients * 100), limit + (clients * used));
        await gateway.UntilAsync($"/api/v1/budgets/{budget["id"]}", b => (double)b["used"]! == granted * used);
        await gateway.UntilAsync("/api/v1/usage?groupBy=key&key=" + id, u => u["usage"]!.AsArray()
            .Sum(line => (int)line!["tokens"]!["prompt"]! + (int)line["tokens"]!["generated"]!) == granted * used);
    }

    [Fact]
    public async Task A_retried_job_counts_again_and_a_repeated_submission_does_not()
    {
        var (id, client) = await KeyAsync("retry");
        using var own = client;
        var budget = await CreateAsync(
            new { scope = "key", target = id, unit = "requests", window = "month", limit = 2 });
        var jobs = new Jobs(gateway, client: own);
        var job = await SubmitAsync(own);
        Assert.Equal("FAILED", (string?)(await jobs.EndAsync(job))["status"]);
        using (var retried = await jobs.PostAsync($"retry/{job}")) Assert.True(retried.IsSuccessStatusCode);
        await jobs.EndAsync(job);
        using (var refused = await jobs.PostAsync($"retry/{job}"))
            Assert.Equal(HttpStatusCode.PaymentRequired, refused.StatusCode);
        Assert.Equal(job, await SubmitAsync(own));
        await EndReservationsAsync();
        Assert.Equal(2, (double)(await gateway.GetAsync($"/api/v1/budgets/{budget["id"]}"))["used"]!);

        static async Task<string> SubmitAsync(HttpClient client)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("/v2/stub/run", UriKind.Relative));
            request.Headers.Add("Idempotency-Key", "once");
            request.Content = new StringContent(Jobs.Body(new JsonObject { ["do"] = "error" }));
            using var answer = await client.SendAsync(request);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            return (string)(await answer.Content.ReadFromJsonAsync<JsonObject>())!["id"]!;
        }
    }

    [Fact]
    public async Task Purged_jobs_return_their_share_and_open_ones_keep_it()
    {
        var (id, client) = await KeyAsync("purge");
        using var own = client;
        var budget = await CreateAsync(
            new { scope = "key", target = id, unit = "requests", window = "month", limit = 10 });
        var jobs = new Jobs(gateway, client: own);
        var ids = new List<string>();
        for (var i = 0; i < 6; i++)
            ids.Add(await jobs.RunAsync(new JsonObject { ["do"] = "sleep", ["ms"] = 25_000 }));
        foreach (var running in ids.Take(4)) await jobs.StatusAsync(running, "IN_PROGRESS");
        using (var purged = await jobs.PostAsync("purge-queue"))
            Assert.Equal(2, (int)(await purged.Content.ReadFromJsonAsync<JsonObject>())!["removed"]!);
        await EndReservationsAsync();
        Assert.Equal(4, (double)(await gateway.GetAsync($"/api/v1/budgets/{budget["id"]}"))["used"]!);
        foreach (var running in ids.Take(4))
            using (var answer = await jobs.PostAsync($"cancel/{running}")) Assert.True(answer.IsSuccessStatusCode);
        Assert.Equal(0, (double)(await gateway.GetAsync($"/api/v1/budgets/{budget["id"]}"))["used"]!);
    }

    [Fact]
    public async Task Metrics_show_what_is_used_of_a_budget_and_keys_that_expire()
    {
        var (id, client) = await KeyAsync("metrics");
        using var own = client;
        var budget = await CreateAsync(
            new { scope = "key", target = id, unit = "requests", window = "month", limit = 2 });
        using (var expiring = await gateway.Client.PostAsJsonAsync("/api/v1/keys",
            new { name = "old", metrics = true, expiresAt = TimeProvider.System.GetUtcNow().AddDays(3) }))
            Assert.True(expiring.IsSuccessStatusCode);
        for (var i = 0; i < 2; i++) await own.GetStringAsync(Ready);
        using (var refused = await own.GetAsync(Ready))
            Assert.Equal(HttpStatusCode.PaymentRequired, refused.StatusCode);
        var labels = $"budget=\"{budget["id"]}\",scope=\"key\",target=\"{id}\",unit=\"requests/month\"";
        await Eventually.BecomesAsync(() => gateway.MetricAsync("sluice_budget_used", labels), used => used == 2);
        Assert.Equal(2, await gateway.MetricAsync("sluice_budget_limit", labels));
        Assert.True(await gateway.MetricAsync("sluice_budgets", "scope=\"key\",state=\"used_up\"") >= 1);
        Assert.True(await gateway.MetricAsync("sluice_requests_limited_total", "limit=\"budget\"") >= 1);
        await Eventually.HoldsAsync(async () =>
            await gateway.MetricAsync("sluice_api_keys", "scope=\"metrics\",state=\"expiring\"") == 1);
        Assert.True(await gateway.MetricAsync("sluice_redis_memory_used_bytes") > 0);
    }

    [Fact]
    public async Task Only_name_limit_and_webhook_of_a_budget_change()
    {
        var budget = await CreateAsync(
            new { scope = "endpoint", target = "stub", unit = "tokens", window = "month", limit = 5 });
        var path = $"/api/v1/budgets/{budget["id"]}";
        using var changed = await gateway.Client.PutAsJsonAsync(path,
            new { scope = "endpoint", target = "stub", unit = "tokens", window = "month", limit = 7, name = "n" });
        var next = (await changed.Content.ReadFromJsonAsync<JsonObject>())!;
        Assert.Equal((7, "n"), ((double)next["limit"]!, (string?)next["name"]));
        using var refused = await gateway.Client.PutAsJsonAsync(
            path, new { scope = "gateway", unit = "requests", window = "day", limit = 7 });
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        var errors = (await refused.Content.ReadFromJsonAsync<JsonObject>())!["errors"]!.AsArray();
        Assert.Equal(["scope", "target", "unit", "window"], errors.Select(e => (string)e!["field"]!));
        using var deleted = await gateway.Client.DeleteAsync(new Uri(path, UriKind.Relative));
        Assert.Equal(HttpStatusCode.NoContent, deleted.StatusCode);
    }

    [Fact]
    public async Task A_cancelled_job_returns_its_share_and_a_tag_counts_all_its_keys()
    {
        var (first, firstClient) = await KeyAsync("shared");
        var (_, secondClient) = await KeyAsync("shared");
        using var one = new HttpClients(firstClient, secondClient);
        var budget = await CreateAsync(
            new { scope = "tag", target = "team=shared", unit = "requests", window = "day", limit = 2 });
        var jobs = new Jobs(gateway, client: firstClient);
        var id = await jobs.RunAsync(new JsonObject { ["do"] = "sleep", ["ms"] = 20_000 });
        await secondClient.GetStringAsync(Ready);
        using (var refused = await secondClient.GetAsync(Ready))
            Assert.Equal(HttpStatusCode.PaymentRequired, refused.StatusCode);
        using (var cancelled = await jobs.PostAsync($"cancel/{id}")) Assert.True(cancelled.IsSuccessStatusCode);
        await secondClient.GetStringAsync(Ready);
        await jobs.EndAsync(id);
        Assert.Equal(2, (double)(await gateway.GetAsync($"/api/v1/budgets/{budget["id"]}"))["used"]!);
        Assert.NotEmpty(first);
    }

    [Fact]
    public async Task The_time_of_workers_counts_and_wrong_fields_are_named()
    {
        await gateway.Client.GetStringAsync(Ready);
        var budget = await CreateAsync(
            new { scope = "endpoint", target = "stub", unit = "workerSeconds", window = "month", limit = 1e6 });
        await gateway.UntilAsync($"/api/v1/budgets/{budget["id"]}", b => (double)b["used"]! > 0);

        using var wrong = await gateway.Client.PostAsJsonAsync("/api/v1/budgets",
            new
            {
                scope = "team", unit = "euro", window = "hour", limit = -1, more = 1, webhook = "http://localhost/",
            });
        Assert.Equal(HttpStatusCode.BadRequest, wrong.StatusCode);
        var errors = (await wrong.Content.ReadFromJsonAsync<JsonObject>())!["errors"]!.AsArray();
        Assert.Equal(["more", "scope", "unit", "window", "limit", "webhook"], errors.Select(e => (string)e!["field"]!));
    }

    /// <summary>Checks the machine-readable part of a refusal: 2 of 2 requests a month of a key are used.</summary>
    private static void CheckExcess(JsonNode budget, string key, DateTimeOffset now)
    {
        Assert.Equal(("key", key, "requests", "month"), ((string?)budget["scope"], (string?)budget["target"],
            (string?)budget["unit"], (string?)budget["window"]));
        Assert.Equal((2, 2), ((double)budget["limit"]!, (double)budget["used"]!));
        Assert.Equal(UsageStep.Month.End(now), (DateTimeOffset)budget["resetsAt"]!);
    }

    private Task EndReservationsAsync() => gateway.Services.GetRequiredService<BudgetWatch>()
        .EndJobsAsync(TimeSpan.Zero, TestContext.Current.CancellationToken);

    private static Uri Ready { get; } = new("/e/stub/ready", UriKind.Relative);

    private async Task<JsonObject> CreateAsync(object fields)
    {
        using var answer = await gateway.Client.PostAsJsonAsync("/api/v1/budgets", fields);
        Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
        return (await answer.Content.ReadFromJsonAsync<JsonObject>())!;
    }

    private async Task<(string Id, HttpClient Client)> KeyAsync(string team)
    {
        using var answer = await gateway.Client.PostAsJsonAsync(
            "/api/v1/keys", new { name = team, invoke = new[] { "stub" }, tags = new { team } });
        var key = (await answer.Content.ReadFromJsonAsync<JsonObject>())!;
        return ((string)key["record"]!["id"]!, gateway.ClientFor((string)key["key"]!));
    }

    private sealed class HttpClients(params HttpClient[] clients) : IDisposable
    {
        public void Dispose()
        {
            foreach (var client in clients) client.Dispose();
        }
    }
}
