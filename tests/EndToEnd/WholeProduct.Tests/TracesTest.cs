using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>Tests the traces of a real gateway and its workers, as a receiver of OTLP sees them.</summary>
public sealed class TracesTest : IDisposable
{
    private const string Infer = "POST /v2/models/{model}/infer";
    private const string ClientSpan = "b7ad6b7169203331";

    private readonly OtlpReceiver receiver = new();

    public void Dispose() => receiver.Dispose();

    [Fact]
    public async Task A_request_from_zero_has_one_trace_with_its_wait_its_cold_start_and_the_work_of_its_worker()
    {
        await using var gateway = await StartAsync(Manifests.With(Manifests.Endpoint("digits")));
        using var response = await InferAsync(gateway);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var id = TraceOf(response);
        var spans = await receiver.TraceAsync(id, s => s.Any(x => x.Name == "run") && s.Any(x => x.ParentId == ""));

        var root = Assert.Single(spans, s => s.ParentId == "");
        Assert.Equal(("sluice-gateway", Infer), (root.Service, root.Name));
        Assert.Equal(
            ("200", "answered", "digits", "POST"),
            (root.Attributes["http.response.status_code"], root.Attributes["sluice.outcome"],
                root.Attributes["sluice.endpoint"], root.Attributes["http.request.method"]));
        var children = Children(spans, root);
        Assert.Equal(["queue", "forward"], children.Select(s => s.Name));
        var start = Assert.Single(Children(spans, children[0]));
        Assert.Equal("cold start", start.Name);
        // The stage "placed" can have ended before the request arrived, by the rounding of times.
        Assert.Equal(["process", "runtime", "provider", "model", "warmUp"],
            Children(spans, start).Select(s => s.Name).SkipWhile(n => n == "placed"));
        Assert.Equal(children[1].Attributes["sluice.worker"], start.Attributes["sluice.worker"]);

        var server = Assert.Single(Children(spans, children[1]));
        Assert.Equal(("sluice-worker", Infer), (server.Service, server.Name));
        Assert.Equal(children[1].Attributes["sluice.worker"], server.Resource["service.instance.id"]);
        var work = Children(spans, server);
        Assert.Equal(["queue", "batch"], work.Select(s => s.Name));
        Assert.Equal("run", Assert.Single(Children(spans, work[1])).Name);
        Assert.DoesNotContain(spans, s => s.IsError);
        Assert.All(spans.Where(s => s != root), s => Assert.Contains(spans, p => p.SpanId == s.ParentId));
    }

    [Fact]
    public async Task The_trace_of_a_client_is_continued_if_the_client_records_it()
    {
        await using var gateway = await StartAsync(Manifests.With(Manifests.Endpoint("digits")));
        var (recorded, ignored) = (NewTrace(), NewTrace());
        using var without = await InferAsync(gateway, $"00-{ignored}-{ClientSpan}-00");
        Assert.False(without.Headers.Contains("traceresponse"));
        using var response = await InferAsync(gateway, $"00-{recorded}-{ClientSpan}-01", "vendor=value");
        Assert.Equal(recorded, TraceOf(response));

        var spans = await receiver.TraceAsync(recorded, s => s.Any(x => x.Name == "run") && s.Any(IsRoot));
        Assert.Equal(["sluice-gateway", "sluice-worker"], spans.Select(s => s.Service).Distinct().Order());
        Assert.Equal(Infer, spans.Single(IsRoot).Name);
        Assert.All(spans.Where(s => s.Name == Infer), s => Assert.Equal("vendor=value", s.State));
        Assert.DoesNotContain(receiver.Spans, s => s.TraceId == ignored);

        static bool IsRoot(TraceSpan span) => span.ParentId == ClientSpan;
    }

    [Fact]
    public async Task The_sampler_of_the_gateway_also_decides_for_its_workers()
    {
        await using var gateway = await StartAsync(Manifests.With(Manifests.Endpoint("digits")),
            ("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.5"));
        // This sampler compares the first half of the id with its limit.
        var (low, high) = ("0000000000000001" + NewTrace()[..16], "7fffffffffffffff" + NewTrace()[..16]);
        using var without = await InferAsync(gateway, $"00-{high}-{ClientSpan}-01");
        using var with = await InferAsync(gateway, $"00-{low}-{ClientSpan}-01");
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), (without.StatusCode, with.StatusCode));
        Assert.False(without.Headers.Contains("traceresponse"));
        await receiver.TraceAsync(low, s => s.Any(x => x.Name == "run") && s.Any(x => x.ParentId == ClientSpan));
        Assert.All(receiver.Spans, s => Assert.Equal(low, s.TraceId));
    }

    [Fact]
    public async Task An_attempt_that_lost_its_worker_and_the_next_one_are_both_in_the_trace()
    {
        await using var gateway = await StartAsync(Jobs.Manifest("/dev/null", max: 2, concurrency: 1));
        var gate = Path.Combine(gateway.Folder, "died");
        var content = new JsonObject { ["die"] = 0, ["gate"] = gate, ["words"] = 1 }.ToJsonString();
        var body = new JsonObject
        {
            ["model"] = "stub",
            ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = content }),
        };
        using var response = await PostAsync(gateway, "/v1/chat/completions", body.ToJsonString());
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);

        var spans = await receiver.TraceAsync(TraceOf(response), s => s.Any(x => x.ParentId == ""));
        var root = spans.Single(s => s.ParentId == "");
        var forwards = Children(spans, root).Where(s => s.Name == "forward").ToList();
        // The worker that has just died may be tried once more, which is a failed connection.
        Assert.InRange(forwards.Count, 2, 3);
        Assert.All(forwards[..^1], f =>
            Assert.Equal((true, "worker_lost"), (f.IsError, f.Attributes["error.type"])));
        Assert.Equal((false, "answered"), (forwards[^1].IsError, forwards[^1].Attributes["sluice.outcome"]));
        Assert.Equal(Number(forwards.Count - 1), forwards[^1].Attributes["http.request.resend_count"]);
        Assert.Equal(("chat", "stub"),
            (forwards[^1].Attributes["gen_ai.operation.name"], forwards[^1].Attributes["gen_ai.request.model"]));
        Assert.True(int.Parse(forwards[^1].Attributes["gen_ai.usage.output_tokens"], CultureInfo.InvariantCulture) > 0);
        Assert.False(root.IsError);
        // Its start is the cold start of the first wait.
        Assert.Contains(spans, s => s.Name == "cold start");
    }

    [Fact]
    public async Task The_attempts_of_a_job_link_to_its_submission_and_its_webhook_continues_that_trace()
    {
        using var hooks = new WebhookReceiver();
        await using var gateway = await StartAsync(
            Jobs.Manifest("/dev/null", max: 2, concurrency: 1), ("SLUICE_WEBHOOK_ALLOW", "127.0.0.0/8"));
        var trace = NewTrace();
        var input = JsonNode.Parse("""{"do":"die-before","attempt":2}""")!;
        using var response = await PostAsync(gateway, "/v2/stub/run",
            Jobs.Body(input, $"\"webhook\":\"{hooks.Url}/ok\""), $"00-{trace}-{ClientSpan}-01", "vendor=value");
        var job = (string)JsonNode.Parse(await response.Content.ReadAsStringAsync())!["id"]!;
        Assert.Equal("COMPLETED", (string?)(await new Jobs(gateway).EndAsync(job))["status"]);
        var delivery = await hooks.NextAsync("/ok");

        var spans = await receiver.TraceAsync(trace, s => s.Any(x => x.Name == "webhook stub"));
        var submit = spans.Single(s => s.Name == "submit stub");
        Assert.Equal("POST /v2/{endpoint}/run", spans.Single(s => s.SpanId == submit.ParentId).Name);
        Assert.Equal(
            (job, "send", "stub"),
            (submit.Attributes["messaging.message.id"], submit.Attributes["messaging.operation.type"],
                submit.Attributes["messaging.destination.name"]));
        var webhook = spans.Single(s => s.Name == "webhook stub");
        Assert.Equal((submit.SpanId, false), (webhook.ParentId, webhook.IsError));
        Assert.Equal($"00-{trace}-{webhook.SpanId}-01", delivery.TraceParent);

        var attempts = await receiver.SpansAsync(s => s.Name == "attempt stub", s => s.Any(a => !a.IsError));
        Assert.InRange(attempts.Count, 2, 3);
        Assert.All(attempts, a =>
        {
            Assert.Equal(("", job), (a.ParentId, a.Attributes["messaging.message.id"]));
            Assert.Equal((trace, submit.SpanId), Assert.Single(a.Links));
        });
        Assert.Equal(attempts.Count, attempts.Select(a => a.TraceId).Distinct().Count());
        var lost = attempts.First(a => a.IsError);
        Assert.Equal("lost", lost.Attributes["sluice.outcome"]);
        var last = Assert.Single(attempts, a => !a.IsError);
        Assert.Equal("completed", last.Attributes["sluice.outcome"]);
        foreach (var attempt in new[] { lost, last })
        {
            var parts = await receiver.TraceAsync(
                attempt.TraceId, s => s.Count(x => x.ParentId == attempt.SpanId) == 2);
            Assert.Equal(["queue", "forward"], Children(parts, attempt).Select(s => s.Name));
            Assert.Equal(attempt.IsError, parts.Single(s => s.Name == "forward").IsError);
        }
    }

    [Fact]
    public async Task A_generation_has_its_tokens_and_stages_and_no_text_or_key_is_exported()
    {
        const string secret = "velociraptor";
        await using var gateway = await StartAsync(Manifests.With(Manifests.Endpoint("story")));
        var request = new JsonObject
        {
            ["model"] = "story",
            ["prompt"] = $"Once upon a time, a {secret}",
            ["max_tokens"] = 5,
            ["stream"] = true,
            ["stream_options"] = new JsonObject { ["include_usage"] = true },
        };
        using var response = await PostAsync(gateway, "/v1/completions", request.ToJsonString());
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var text = await response.Content.ReadAsStringAsync();

        var spans = await receiver.TraceAsync(
            TraceOf(response), s => s.Any(x => x.Name == "text_completion story") && s.Any(x => x.ParentId == ""));
        var generation = spans.Single(s => s.Name == "text_completion story");
        Assert.Equal("sluice-worker", generation.Service);
        Assert.Equal("POST /v1/completions", spans.Single(s => s.SpanId == generation.ParentId).Name);
        var events = text.Split("data: ", StringSplitOptions.RemoveEmptyEntries);
        var usage = JsonNode.Parse(events[^2])!["usage"]!;
        Assert.Equal(
            ($"{usage["prompt_tokens"]}", $"{usage["completion_tokens"]}"),
            (generation.Attributes["gen_ai.usage.input_tokens"], generation.Attributes["gen_ai.usage.output_tokens"]));
        Assert.True(double.Parse(
            generation.Attributes["gen_ai.response.time_to_first_chunk"], CultureInfo.InvariantCulture) > 0);
        Assert.Equal(["queue", "prefill", "decode"], Children(spans, generation).Select(s => s.Name));
        Assert.False(receiver.Contains(secret));
        Assert.False(receiver.Contains(gateway.Key));
        Assert.False(receiver.Contains(gateway.Key.Split('_')[^1]));
    }

    private Task<GatewayProcess> StartAsync(string manifest, params (string Name, string Value)[] more) =>
        GatewayProcess.StartAsync(manifest, environment: receiver.Environment(more));

    private static Task<HttpResponseMessage> InferAsync(
        GatewayProcess gateway, string? parent = null, string? state = null) =>
        PostAsync(gateway, "/v2/models/digits/infer", GatewayProcess.Example("digits"), parent, state);

    private static async Task<HttpResponseMessage> PostAsync(
        GatewayProcess gateway, string path, string body, string? parent = null, string? state = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path)
        {
            Content = new StringContent(body, Encoding.UTF8, "application/json"),
        };
        if (parent is not null) request.Headers.Add("traceparent", parent);
        if (state is not null) request.Headers.Add("tracestate", state);
        return await gateway.Client.SendAsync(request);
    }

    private static string TraceOf(HttpResponseMessage response) =>
        Assert.Single(response.Headers.GetValues("traceresponse")).Split('-')[1];

    private static List<TraceSpan> Children(IEnumerable<TraceSpan> spans, TraceSpan parent) =>
        [.. spans.Where(s => s.ParentId == parent.SpanId).OrderBy(s => s.Start)];

    private static string NewTrace() => Guid.NewGuid().ToString("N");

    private static string Number(int number) => number.ToString(CultureInfo.InvariantCulture);
}
