using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Tests the tokens per minute of keys, with real workers and their engine's own counts.</summary>
[Trait("Needs", "publish")]
public sealed class TokenLimitsTest
{
    private const int Sigkill = 9;
    private const long Limit = 100_000;

    [Fact]
    public async Task Requests_are_reserved_and_settled_and_the_headers_show_it()
    {
        await using var gateway = await StartAsync();
        using var client = await ClientAsync(gateway, new { tokensPerMinute = 2000, requestsPerMinute = 600 });
        // The gateway learns how many tokens a text has.
        using (var learned = await client.PostAsJsonAsync("/v1/chat/completions", Chat(1)))
            Assert.Equal(HttpStatusCode.OK, learned.StatusCode);
        using var first = await client.PostAsJsonAsync("/v1/chat/completions", Chat(20));
        var usage = (await first.Content.ReadFromJsonAsync<JsonObject>())!["usage"]!;
        Assert.Equal((2000, 600), (Header(first, "limit-tokens"), Header(first, "limit-requests")));
        Assert.InRange(Header(first, "remaining-requests"), 50, 60);
        Assert.Matches("^[0-9.]+m?s$|^1m[0-9.]+s$", first.Headers.GetValues("x-ratelimit-reset-tokens").Single());
        Assert.False(first.Headers.Contains("X-Sluice-Usage"));
        using var second = await client.PostAsJsonAsync("/v1/chat/completions", Chat(20));
        Assert.Equal((long)usage["total_tokens"]!,
            Header(first, "remaining-tokens") - Header(second, "remaining-tokens"));

        using var refused = await client.PostAsJsonAsync("/v1/chat/completions", Chat(1990));
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        var error = (await refused.Content.ReadFromJsonAsync<JsonObject>())!["error"]!;
        Assert.Equal(("rate_limit_error", "rate_limit_exceeded"), ((string?)error["type"], (string?)error["code"]));
        Assert.InRange(refused.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 62);
        Assert.InRange(
            long.Parse(refused.Headers.GetValues("retry-after-ms").Single(), CultureInfo.InvariantCulture), 1, 62_000);
        Assert.Equal(2000, Header(refused, "limit-tokens"));

        using var impossible = await client.PostAsJsonAsync("/v1/chat/completions", Chat(2001));
        Assert.Equal(HttpStatusCode.BadRequest, impossible.StatusCode);
        error = (await impossible.Content.ReadFromJsonAsync<JsonObject>())!["error"]!;
        Assert.Equal("max_tokens", (string?)error["param"]);
        Assert.Contains("'2001'; expected at most 2000", (string?)error["message"], StringComparison.Ordinal);
        Assert.Equal(2, await gateway.MetricAsync("sluice_requests_limited_total", "limit=\"tokens\""));
    }

    [Fact]
    public async Task Aborted_and_failed_requests_are_settled_by_the_count_of_the_engine()
    {
        await using var gateway = await StartAsync();
        using var client = await ClientAsync(gateway, new { tokensPerMinute = Limit });
        var whole = await TextClient.SendAsync(client, Chat(64, isStream: true));
        Assert.Equal(Total(whole.Usage), (await UsedAsync(gateway, 1)).Single());
        await LeaveAsync(client, Chat(2000, isStream: true));
        Assert.InRange((await UsedAsync(gateway, 2))[1], 13 + 5, 2000);
        // The same without usage in the stream, which the client has not asked for.
        var silent = Chat(30, isStream: true);
        silent.Remove("stream_options");
        using (var answer = await client.PostAsJsonAsync("/v1/chat/completions", silent))
            await answer.Content.ReadAsStringAsync();
        using (var answer = await client.PostAsJsonAsync("/v1/chat/completions", new { model = "story", messages = 1 }))
            Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        var used = await UsedAsync(gateway, 3);

        // The worker counts the tokens that its engine computed, and the gateway what it settled.
        var generated = await gateway.MetricAsync("vllm:generation_tokens_total", "story", "/metrics/workers");
        Assert.Equal(generated, await gateway.MetricAsync("sluice_tokens_total", "endpoint=\"story\""));
        var prompt = await gateway.MetricAsync("sluice_tokens_prompt_total", "endpoint=\"story\"");
        Assert.Equal(generated + prompt, used.Sum());
        // Tokens that are older than a minute do not count any more.
        Assert.True(await RemainingAsync(client) >= Limit - used.Sum());
        Assert.True(await gateway.MetricAsync("sluice_tokens_wasted_total", "endpoint=\"story\"") > 0);
    }

    [Fact]
    public async Task A_stream_that_another_worker_continues_is_settled_once()
    {
        await using var gateway = await StartAsync(workers: 2);
        using var client = await ClientAsync(gateway, new { tokensPerMinute = Limit });
        var killed = false;
        var text = await TextClient.SendAsync(client, Chat(200, isStream: true), async worker =>
        {
            if (killed) return;
            killed = true;
            var own = (await gateway.WorkersAsync("story")).Single(w => (string)w["id"]! == worker);
            ChildProcess.Signal((int)own["processId"]!, Sigkill);
        });
        Assert.True(await gateway.MetricAsync("sluice_streams_continued_total", "endpoint=\"story\"") > 0);
        Assert.Equal(Total(text.Usage), (await UsedAsync(gateway, 1)).Single());
        Assert.True(await RemainingAsync(client) >= Limit - Total(text.Usage));
    }

    [Fact]
    public async Task Jobs_and_batches_are_settled_by_the_count_of_the_engine()
    {
        await using var gateway = await StartAsync();
        using var client = await ClientAsync(gateway, new { tokensPerMinute = Limit });
        var input = JsonNode.Parse("""{"text_input":"Once","max_tokens":40,"ignore_eos":true,"stream":false}""")!;
        var job = await new Jobs(gateway, "story", client).RunSyncAsync(input);
        Assert.Equal("COMPLETED", (string?)job["status"]);
        Assert.InRange((await UsedAsync(gateway, 1))[0], 41, 60);

        var batch = await RunBatchAsync(client, lines: 3);
        var used = await UsedAsync(gateway, 4);
        Assert.Equal(batch, used.Skip(1).Sum());
        Assert.True(await RemainingAsync(client) >= Limit - used.Sum());
    }

    [Fact]
    public async Task A_job_that_the_queue_rejects_uses_no_tokens()
    {
        await using var gateway = await InProcessGateway.StartAsync(
            Manifests.With(Manifests.Endpoint("story", more: "jobs: { maxQueued: 0 }")),
            InProcessGateway.WithWorker());
        using var client = await ClientAsync(gateway, new { tokensPerMinute = Limit });
        var input = JsonNode.Parse("""{"text_input":"Once","max_tokens":40}""")!;
        using var job = await client.PostAsJsonAsync("/v2/story/run", new { input });
        Assert.Equal(HttpStatusCode.TooManyRequests, job.StatusCode);
        using var response = await client.PostAsJsonAsync("/v1/responses",
            new { model = "story", input = "Once", max_output_tokens = 40, background = true });
        Assert.Equal(HttpStatusCode.TooManyRequests, response.StatusCode);
        Assert.Equal(Limit, await RemainingAsync(client));
    }

    [Fact]
    public async Task Workers_of_other_programs_are_settled_by_their_usage_or_their_chunks()
    {
        await using var gateway = await InProcessGateway.StartAsync(Jobs.Manifest("/dev/null"), Debug());
        using var client = await ClientAsync(gateway, new { tokensPerMinute = Limit }, "stub");
        foreach (var what in new[] { "unmarked", "usage" })
        {
            using var response = await client.PostAsJsonAsync(
                "/v1/completions", new { model = "stub", @do = what, max_tokens = 50 });
            await response.Content.ReadAsStringAsync();
        }

        // The first: the estimate of the prompt, which is 3 for "unmarked", and 3 chunks.
        Assert.Equal("6 33", string.Join(' ', await UsedAsync(gateway, 2)));
    }

    [Fact]
    public async Task Concurrent_clients_get_no_more_than_the_limit()
    {
        const long limit = 3000;
        await using var gateway = await StartAsync();
        using var client = await ClientAsync(gateway, new { tokensPerMinute = limit });
        // The gateway learns how many tokens a text has.
        using (var first = await client.PostAsJsonAsync("/v1/chat/completions", Chat(1)))
            Assert.Equal(HttpStatusCode.OK, first.StatusCode);
        var started = TimeProvider.System.GetTimestamp();
        var (used, refused) = (0L, 0);
        await Task.WhenAll(Enumerable.Range(0, 64).Select(async i =>
        {
            for (var sent = 0; sent < 4; sent++)
            {
                using var response = await client.PostAsJsonAsync("/v1/chat/completions", Chat(20 + i));
                if (response.StatusCode == HttpStatusCode.TooManyRequests) Interlocked.Increment(ref refused);
                else
                {
                    var body = await response.Content.ReadFromJsonAsync<JsonObject>();
                    Interlocked.Add(ref used, (long)body!["usage"]!["total_tokens"]!);
                }
            }
        }));
        var minutes = Math.Ceiling(TimeProvider.System.GetElapsedTime(started).TotalMinutes);
        Assert.InRange(used, limit / 2, limit * minutes);
        Assert.True(refused > 0);
    }

    private static Task<InProcessGateway> StartAsync(int workers = 1)
    {
        var settings = InProcessGateway.WithWorker();
        foreach (var (name, value) in Debug()) settings[name] = value;
        return InProcessGateway.StartAsync(
            $$"""
            templates:
              - name: onnx-cpu
                concurrency: 64
            endpoints:
              - { id: story, template: onnx-cpu, scaling: { min: {{workers}}, max: 3, idleTimeout: 600s } }

            """, settings);
    }

    private static Dictionary<string, string?> Debug() => new() { ["SLUICE_LOG_LEVEL"] = "Debug" };

    private static async Task<HttpClient> ClientAsync(
        InProcessGateway gateway, object limits, string endpoint = "story")
    {
        var request = System.Text.Json.JsonSerializer.SerializeToNode(limits)!.AsObject();
        request["name"] = "limited";
        request["invoke"] = new JsonArray(endpoint);
        using var created = await gateway.Client.PostAsJsonAsync("/api/v1/keys", request);
        var body = (await created.Content.ReadFromJsonAsync<JsonObject>())!;
        Assert.True(created.IsSuccessStatusCode, body.ToJsonString());
        return gateway.ClientFor((string)body["key"]!);
    }

    private static JsonObject Chat(int maxTokens, bool isStream = false)
    {
        var request = new JsonObject
        {
            ["model"] = "story",
            ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = "Write a story." }),
            ["max_tokens"] = maxTokens,
            ["ignore_eos"] = true,
        };
        if (!isStream) return request;
        request["stream"] = true;
        request["stream_options"] = new JsonObject { ["include_usage"] = true };
        return request;
    }

    /// <summary>Returns the tokens that remain before a request that reserves exactly 2 tokens.</summary>
    private static async Task<long> RemainingAsync(HttpClient client)
    {
        using var response = await client.PostAsJsonAsync("/v1/completions",
            new { model = "story", prompt = new[] { 5 }, max_tokens = 1, ignore_eos = true });
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return Header(response, "remaining-tokens") + 2;
    }

    private static long Header(HttpResponseMessage response, string name) => long.Parse(
        response.Headers.GetValues("x-ratelimit-" + name).Single(), CultureInfo.InvariantCulture);

    /// <summary>Returns prompt and generated tokens of <see cref="StreamedText.Usage"/>.</summary>
    private static long Total(string usage) => usage.Split(' ').Sum(n => long.Parse(n, CultureInfo.InvariantCulture));

    /// <summary>Waits until a number of requests are settled, and returns the tokens that each used.</summary>
    private static async Task<long[]> UsedAsync(InProcessGateway gateway, int count) =>
        [.. (await Eventually.BecomesAsync(
            () => Task.FromResult(gateway.Log.Entries.Where(e => e.Is("TokensUsed")).ToList()),
            e => e.Count >= count, "requests are settled"))
            .Select(e => new[] { e["Prompt"], e["Generated"] }
                .Sum(n => long.Parse(n, CultureInfo.InvariantCulture)))];

    /// <summary>Leaves a stream after some events.</summary>
    private static async Task LeaveAsync(HttpClient client, JsonObject request)
    {
        using var gone = new CancellationTokenSource();
        var events = 0;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => TextClient.SendAsync(client, request, async _ =>
        {
            if (++events == 5) await gone.CancelAsync();
        }, gone.Token));
    }

    private static async Task<long> RunBatchAsync(HttpClient client, int lines)
    {
        var rows = string.Concat(Enumerable.Range(0, lines).Select(n => new JsonObject
        {
            ["custom_id"] = $"{n}",
            ["method"] = "POST",
            ["url"] = "/v1/chat/completions",
            ["body"] = Chat(20 + n),
        }.ToJsonString() + "\n"));
        using var form = new MultipartFormDataContent
        {
            { new StringContent("batch"), "purpose" },
            { new ByteArrayContent(Encoding.UTF8.GetBytes(rows)), "file", "rows.jsonl" },
        };
        using var uploaded = await client.PostAsync(new Uri("/v1/files", UriKind.Relative), form);
        var file = (string)(await uploaded.Content.ReadFromJsonAsync<JsonObject>())!["id"]!;
        using var created = await client.PostAsJsonAsync("/v1/batches",
            new { input_file_id = file, endpoint = "/v1/chat/completions", completion_window = "1h" });
        var id = (string)(await created.Content.ReadFromJsonAsync<JsonObject>())!["id"]!;
        var batch = await Eventually.BecomesAsync(
            async () => (await client.GetFromJsonAsync<JsonObject>($"/v1/batches/{id}"))!,
            b => (string?)b["status"] == "completed", "the batch completes");
        var output = await client.GetStringAsync(
            new Uri($"/v1/files/{batch["output_file_id"]}/content", UriKind.Relative));
        var used = output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(l => (long)JsonNode.Parse(l)!["response"]!["body"]!["usage"]!["total_tokens"]!).ToList();
        Assert.Equal(lines, used.Count);
        return used.Sum();
    }
}
