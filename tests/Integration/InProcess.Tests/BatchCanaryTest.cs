using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Tests that lines of batches are shared with canaries, and the traces of lines; with real workers.</summary>
public sealed class BatchCanaryTest : IAsyncLifetime
{
    private const string Path = "/v1/chat/completions";

    private readonly string log = System.IO.Path.GetTempFileName();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync()
    {
        StubLog.Delete(log);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Lines_are_shared_by_weight()
    {
        await using var gateway = await StartAsync();
        await DeclareCanaryAsync(gateway, 30);
        const int lines = 400;
        await CompleteAsync(gateway, await CreateAsync(gateway, lines, ms: 0), lines);
        var canary = await AttemptsAsync(gateway, "next");
        // Five standard deviations of 400 draws with 30 percent are 46 lines.
        Assert.InRange(canary, 74, 166);
        Assert.Equal(lines - canary, await AttemptsAsync(gateway, "stub"));
    }

    [Fact]
    public async Task A_batch_that_continues_finds_its_lines_although_the_weight_has_changed()
    {
        await using var gateway = await StartAsync();
        await DeclareCanaryAsync(gateway, 100);
        const int lines = 6;
        var id = await CreateAsync(gateway, lines, ms: 3000);
        await Eventually.HoldsAsync(() => Logged("begin ") == lines);
        using (var patched = await gateway.Client.PatchAsync(
            new Uri("/api/v1/endpoints/next", UriKind.Relative), new StringContent("""{"canary":{"weight":0}}""")))
            Assert.True(patched.IsSuccessStatusCode, await patched.Content.ReadAsStringAsync());
        await using (var other = await gateway.StartAnotherAsync())
        {
            // The second gateway continues the batch when the first one stops.
            await gateway.StopAsync();
            await CompleteAsync(other, id, lines);
            Assert.Equal(0, await AttemptsAsync(other, "stub"));
        }
    }

    [Fact]
    public async Task A_cancelled_batch_stops_its_lines_at_the_canary()
    {
        await using var gateway = await StartAsync();
        await DeclareCanaryAsync(gateway, 50);
        const int lines = 12;
        var id = await CreateAsync(gateway, lines, ms: 60_000);
        await Eventually.HoldsAsync(() => Logged("begin ") == lines);
        using var cancel = await gateway.Client.PostAsync(new Uri($"/v1/batches/{id}/cancel", UriKind.Relative), null);
        await Eventually.BecomesAsync(
            () => gateway.GetAsync($"/v1/batches/{id}"), b => (string?)b["status"] == "cancelled");
        await Eventually.HoldsAsync(() => Logged("stopped ") == lines);
    }

    [Fact]
    public async Task Each_line_is_a_trace_with_a_link_to_the_batch()
    {
        using var receiver = new OtlpReceiver();
        await using var gateway = await StartAsync(receiver.Environment());
        const int lines = 3;
        await CompleteAsync(gateway, await CreateAsync(gateway, lines, ms: 0), lines);
        var created = Assert.Single(await receiver.SpansAsync(s => s.Name == "POST /v1/batches", s => s.Count == 1));
        var submitted = await receiver.SpansAsync(s => s.Name == "submit stub", s => s.Count == lines);
        var attempts = await receiver.SpansAsync(s => s.Name == "attempt stub", s => s.Count == lines);
        Assert.Equal(
            2 * lines + 1, submitted.Concat(attempts).Append(created).Select(s => s.TraceId).Distinct().Count());
        Assert.All(submitted, s => Assert.Equal(
            ("", (created.TraceId, created.SpanId)), (s.ParentId, Assert.Single(s.Links))));
        Assert.All(submitted, s => Assert.StartsWith("batch_", s.Attributes["sluice.batch"], StringComparison.Ordinal));
        Assert.Equal(submitted.Select(s => (s.TraceId, s.SpanId)).Order(),
            attempts.Select(a => Assert.Single(a.Links)).Order());
    }

    [Fact]
    public async Task Lines_are_sampled_like_requests_and_not_because_the_batch_was()
    {
        using var receiver = new OtlpReceiver();
        await using var gateway = await StartAsync(
            receiver.Environment(("OTEL_TRACES_SAMPLER", "parentbased_always_off")));
        const string trace = "0af7651916cd43dd8448eb211c80319c";
        gateway.Client.DefaultRequestHeaders.Add("traceparent", $"00-{trace}-b7ad6b7169203331-01");
        var id = await CreateAsync(gateway, 3, ms: 0);
        gateway.Client.DefaultRequestHeaders.Remove("traceparent");
        await CompleteAsync(gateway, id, 3);
        // Spans are exported in the order of their ends.
        using (var last = new HttpRequestMessage(HttpMethod.Get, "/v1/models"))
        {
            last.Headers.Add("traceparent", $"00-{trace}-b7ad6b7169203331-01");
            using var answer = await gateway.Client.SendAsync(last);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }

        await receiver.SpansAsync(s => s.Name == "GET /v1/models", s => s.Count == 1);
        Assert.Contains(receiver.Spans, s => s.Name == "POST /v1/batches" && s.TraceId == trace);
        Assert.DoesNotContain(receiver.Spans, s => s.Name is "submit stub" or "attempt stub");
    }

    private static Task<double> AttemptsAsync(InProcessGateway gateway, string endpoint) =>
        gateway.MetricAsync("sluice_job_attempts_total", $"endpoint=\"{endpoint}\"");

    private static async Task DeclareCanaryAsync(InProcessGateway gateway, int weight)
    {
        using var response = await gateway.Client.PostAsJsonAsync("/api/v1/endpoints", new JsonObject
        {
            ["id"] = "next",
            ["template"] = "stub",
            ["models"] = new JsonArray("stub"),
            ["scaling"] = new JsonObject { ["max"] = 1, ["idleTimeout"] = "600s" },
            ["canary"] = new JsonObject { ["of"] = "stub", ["weight"] = weight },
        });
        Assert.True(response.StatusCode == HttpStatusCode.Created, await response.Content.ReadAsStringAsync());
    }

    /// <summary>Uploads the lines and creates the batch.</summary>
    private static async Task<string> CreateAsync(InProcessGateway gateway, int lines, int ms)
    {
        var rows = Enumerable.Range(0, lines).Select(n =>
            $"{{\"custom_id\":\"row-{n}\",\"method\":\"POST\",\"url\":\"{Path}\","
            + $"\"body\":{{\"model\":\"stub\",\"n\":{n},\"ms\":{ms}}}}}");
        var file = new ByteArrayContent(Encoding.UTF8.GetBytes(string.Join('\n', rows)));
        file.Headers.ContentType = new MediaTypeHeaderValue("application/jsonl");
        using var uploaded = await gateway.Client.PostAsync(new Uri("/v1/files", UriKind.Relative),
            new MultipartFormDataContent { { new StringContent("batch"), "purpose" }, { file, "file", "rows.jsonl" } });
        var input = (string)(await uploaded.Content.ReadFromJsonAsync<JsonObject>())!["id"]!;
        using var created = await gateway.Client.PostAsJsonAsync("/v1/batches",
            new { input_file_id = input, endpoint = Path, completion_window = "24h" });
        return (string)(await created.Content.ReadFromJsonAsync<JsonObject>())!["id"]!;
    }

    /// <summary>Waits until a batch is complete, without a failed line.</summary>
    private static async Task CompleteAsync(InProcessGateway gateway, string id, int lines)
    {
        var batch = await Eventually.BecomesAsync(
            () => gateway.GetAsync($"/v1/batches/{id}"), b => (string?)b["status"] == "completed");
        Assert.Equal((lines, 0),
            ((int)batch["request_counts"]!["completed"]!, (int)batch["request_counts"]!["failed"]!));
    }

    private int Logged(string what) => StubLog.Lines(log).Count(l => l.StartsWith(what, StringComparison.Ordinal));

    private Task<InProcessGateway> StartAsync(Dictionary<string, string?>? settings = null) =>
        InProcessGateway.StartAsync(Jobs.Manifest(log, max: 1, concurrency: 16,
            more: "forwarding: { executionTimeout: 120s }"), settings);
}
