using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>One gateway for all tests of a class, with an endpoint whose worker executes the instructions of a job.</summary>
public sealed class JobsGateway : IAsyncLifetime
{
    public string Log { get; } = Path.GetTempFileName();

    public InProcessGateway Gateway { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Gateway = await InProcessGateway.StartAsync(Jobs.Manifest(Log, max: 1, concurrency: 4,
        more: "forwarding: { executionTimeout: 30s, activityTimeout: 1s }, jobs: { retention: 600s, maxInputBytes: 2MiB, maxOutputBytes: 4MiB, maxStreamBytes: 1KiB }") + """

          - { id: open, template: stub, public: true, scaling: { max: 1 }, jobs: { maxInputBytes: 20MiB, maxOutputBytes: 20MiB } }
        """);

    public async ValueTask DisposeAsync()
    {
        await Gateway.DisposeAsync();
        StubLog.Delete(Log);
    }
}

/// <summary>Tests the jobs API with one gateway and without faults.</summary>
public sealed class JobsTest(JobsGateway shared) : IClassFixture<JobsGateway>, IAsyncLifetime
{
    private readonly string log = shared.Log;
    private readonly InProcessGateway gateway = shared.Gateway;
    private readonly Jobs jobs = new(shared.Gateway);

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync() => await jobs.QuietAsync();

    [Fact]
    public async Task The_status_of_a_job_has_all_fields()
    {
        var job = await jobs.EndAsync(await jobs.RunAsync(new JsonObject { ["do"] = "echo", ["text"] = "ä\u0000\"" }));

        Assert.Equal("COMPLETED", (string?)job["status"]);
        Assert.Equal("ä\u0000\"", (string?)job["output"]!["text"]);
        Assert.StartsWith("stub-", (string?)job["workerId"], StringComparison.Ordinal);
        Assert.Equal(0, (int)job["retries"]!);
        Assert.True((double)job["timings"]!["totalMs"]! >= (double)job["timings"]!["executionMs"]!);
        // RunPod's Go client reads the status with POST.
        using var posted = await jobs.PostAsync($"status/{(string?)job["id"]}");
        Assert.Equal(HttpStatusCode.OK, posted.StatusCode);
        var listed = (await jobs.GetAsync("requests?status=COMPLETED&limit=1000"))["requests"]!.AsArray();
        Assert.Contains(listed, j => (string?)j!["id"] == (string?)job["id"]);
    }

    [Fact]
    public async Task The_input_of_a_job_is_as_it_was_submitted()
    {
        var input = JsonNode.Parse("""{"do":"echo","n":1}""")!;
        var small = (string)(await jobs.EndAsync(await jobs.RunAsync(input)))["id"]!;
        Assert.Equal("""{"do":"echo","n":1}""", (await jobs.GetAsync($"input/{small}")).ToJsonString());

        // A large input is deleted when its job completes, and kept while the job can be retried.
        var failing = new JsonObject { ["do"] = "error", ["text"] = new string('x', 100_000) };
        var failed = (string)(await jobs.EndAsync(await jobs.RunAsync(failing.DeepClone())))["id"]!;
        Assert.Equal(failing.ToJsonString(), (await jobs.GetAsync($"input/{failed}")).ToJsonString());
        failing["do"] = "echo";
        var done = (string)(await jobs.EndAsync(await jobs.RunAsync(failing)))["id"]!;
        using var gone = await gateway.Client.GetAsync(new Uri($"/v2/stub/input/{done}", UriKind.Relative));
        Assert.Equal(HttpStatusCode.Gone, gone.StatusCode);
        using var unknown = await gateway.Client.GetAsync(new Uri($"/v2/stub/input/{done}0", UriKind.Relative));
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
    }

    [Trait("Fault", "W6")]
    [Theory]
    [InlineData("""{"do":"error"}""", "FAILED", "HANDLER_ERROR", "the handler said no")]
    [InlineData("""{"do":"status","code":422}""", "FAILED", "HANDLER_ERROR", "a status of its own")]
    [InlineData("""{"do":"status","code":500}""", "FAILED", "HANDLER_ERROR", "a status of its own")]
    [InlineData("""{"do":"status","code":503}""", "FAILED", "HANDLER_ERROR", "a status of its own")]
    [InlineData("""{"do":"garbage"}""", "FAILED", "WORKER_ANSWER_INVALID", "is not valid JSON")]
    [InlineData("""{"do":"empty"}""", "FAILED", "WORKER_ANSWER_INVALID", "is empty")]
    [InlineData("""{"do":"huge","mib":6}""", "FAILED", "OUTPUT_TOO_LARGE", "jobs.maxOutputBytes")]
    [InlineData("""{"do":"stream","chunks":500}""", "FAILED", "STREAM_TOO_LARGE", "jobs.maxStreamBytes")]
    [InlineData("""{"do":"stall","chunks":5}""", "TIMED_OUT", "EXECUTION_TIMEOUT", "activityTimeout")]
    [Trait("Matrix", "fault")]
    public async Task An_error_of_a_handler_has_an_error_code(string input, string status, string code, string says)
    {
        var job = await jobs.EndAsync(await jobs.RunAsync(JsonNode.Parse(input)!));

        Assert.Equal(status, (string?)job["status"]);
        Assert.Equal(code, (string?)job["errorInfo"]!["code"]);
        Assert.Contains(says, (string?)job["error"], StringComparison.Ordinal);
        Assert.Equal(0, (int)job["retries"]!);
        Assert.Null(job["output"]);
        FaultMatrix.Seen("W6", $"a job's {(string)JsonNode.Parse(input)!["do"]!}: {code}");
    }

    [Theory]
    [InlineData("1", 1)]
    [InlineData("null", 0)]
    [InlineData("\"text\"", 1)]
    [InlineData("[1,[2,{}]]", 1)]
    public async Task Any_JSON_value_is_a_valid_input(string input, int has)
    {
        using var answer = await jobs.PostAsync("runsync", $$"""{"input":{{input}}}""");
        var job = JsonNode.Parse(await answer.Content.ReadAsStringAsync())!;
        Assert.Equal(has == 0 ? "null" : input, job["output"]?.ToJsonString() ?? "null");
        Assert.Equal("COMPLETED", (string?)job["status"]);
    }

    [Theory]
    [InlineData("", 400, "JSON")]
    [InlineData("[]", 400, "an object with the field input")]
    [InlineData("{}", 400, "input: expected a value: it is required")]
    [InlineData("""{"input":1,"policy":{"ttl":5}}""", 400, "policy.ttl is 5; expected ms, 1000 to 604800000")]
    [InlineData("""{"input":1,"policy":{"executionTimeout":"1s"}}""", 400, "policy.executionTimeout is \"1s\"; expected ms")]
    [InlineData("""{"input":1,"policy":{"lowPriority":1}}""", 400, "policy.lowPriority is 1; expected true or false")]
    [InlineData("""{"input":1,"policy":{"prio":1}}""", 400, "policy.prio is 1; expected a known field")]
    [InlineData("""{"input":1,"policy":[]}""", 400, "policy is []; expected an object")]
    [InlineData("""{"input":1,"webhook":7}""", 400, "webhook is 7; expected a URL")]
    [InlineData("""{"input":1,"webhook":"\ud800"}""", 400, "webhook is")]
    [InlineData("""{"input":1,"webhook":"http://10.0.0.1/"}""", 400, "expected a public")]
    [InlineData("""{"input":1,"webhook":"ftp://example.org/"}""", 400, "absolute https URL")]
    [InlineData("""{"input":1,"webhookV2":"https://example.org/"}""", 400, "webhookV2 is")]
    [InlineData("""{"input":1,"s3Config":1}""", 400, "s3Config is 1; expected an object")]
    public async Task The_error_of_an_invalid_job_contains_field_and_value(string body, int status, string says)
    {
        using var answer = await jobs.PostAsync("run", body);
        Assert.Equal(status, (int)answer.StatusCode);
        Assert.Contains(says, (string?)JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["error"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_s3Config_that_is_too_large_is_rejected()
    {
        using var answer = await jobs.PostAsync("run", $$$"""{"input":1,"s3Config":{"bucketName":"{{{new string('x', 20_000)}}}"}}""");
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains("expected at most 16384 bytes", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_job_that_is_too_large_is_rejected_early_and_a_large_payload_is_stored_in_the_payload_folder()
    {
        using var refused = await jobs.PostAsync("run", Jobs.Body(new string('x', 3 << 20)));
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, refused.StatusCode);
        Assert.Contains("at most 2097152 bytes (jobs.maxInputBytes", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);

        var large = new string('x', 1 << 20);
        var job = await jobs.EndAsync(await jobs.RunAsync(new JsonObject { ["do"] = "echo", ["text"] = large }));
        Assert.Equal(large, (string?)job["output"]!["text"]);
        var files = Directory.EnumerateFiles(Path.Combine(gateway.Folder, "data", "payloads"), "*", SearchOption.AllDirectories)
            .Where(f => new FileInfo(f).Length > 1 << 20);
        Assert.Equal(2, files.Count());

        var larger = new string('y', 15 << 20);
        var open = new Jobs(gateway, "open");
        Assert.Equal(larger, (string?)(await open.EndAsync(await open.RunAsync(new JsonObject { ["do"] = "echo", ["text"] = larger })))["output"]!["text"]);
    }

    [Trait("Fault", "C10")]
    [Fact]
    [Trait("Matrix", "fault")]
    public async Task Requests_with_the_same_Idempotency_Key_create_one_job_and_another_body_is_rejected()
    {
        var ids = await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => KeyedAsync("""{"input":{"do":"echo","n":1}}""")));
        Assert.All(ids, i => Assert.Equal(HttpStatusCode.OK, i.Status));
        var id = Assert.Single(ids.Select(i => i.Id).Distinct());
        await jobs.EndAsync(id!);
        Assert.Equal(1, Executions(id!));
        Assert.Equal(HttpStatusCode.UnprocessableEntity, (await KeyedAsync("""{"input":{"do":"echo","n":2}}""")).Status);
        FaultMatrix.Seen("C10", $"{ids.Length} concurrent requests: one job, {Executions(id!)} execution; another body: 422");

        async Task<(HttpStatusCode Status, string? Id)> KeyedAsync(string body)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v2/stub/run") { Content = new StringContent(body) };
            request.Headers.Add("Idempotency-Key", "the-key");
            using var answer = await gateway.Client.SendAsync(request);
            return (answer.StatusCode, (string?)JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["id"]);
        }
    }

    [Fact]
    public async Task Cancelling_a_running_job_stops_its_worker_request_and_frees_its_slot()
    {
        var id = await jobs.RunAsync(new JsonObject { ["do"] = "sleep", ["ms"] = 60000 });
        await LogAsync($"begin {id} 1");
        using var answer = await jobs.PostAsync($"cancel/{id}");
        Assert.Contains("CANCELLED", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        await LogAsync($"stopped {id} 1");
        Assert.Equal("COMPLETED", (string?)(await jobs.RunSyncAsync(1))["status"]);
        Assert.Equal("CANCELLED", (string?)(await jobs.GetAsync($"status/{id}"))["status"]);
        using var again = await jobs.PostAsync($"cancel/{id}");
        Assert.Equal(HttpStatusCode.OK, again.StatusCode);
    }

    [Fact]
    public async Task A_runsync_job_is_cancelled_when_its_client_disconnects()
    {
        var (begun, stopped) = (Executions(), StubLog.Lines(log).Count(l => l.StartsWith("stopped ", StringComparison.Ordinal)));
        using (var gone = new CancellationTokenSource())
        {
            var request = gateway.Client.PostAsync(new Uri("/v2/stub/runsync", UriKind.Relative),
                new StringContent("""{"input":{"do":"sleep","ms":60000,"mark":"gone"}}"""), gone.Token);
            await LogAsync("begin ", after: begun);
            await gone.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => request);
        }

        await LogAsync("stopped ", after: stopped);
        var listed = (await jobs.GetAsync("requests?status=CANCELLED&limit=1"))["requests"]!.AsArray();
        Assert.Single(listed);
    }

    [Fact]
    public async Task A_job_that_waits_too_long_or_runs_too_long_times_out_and_can_be_retried()
    {
        var slow = await jobs.EndAsync(await jobs.RunAsync(new JsonObject { ["do"] = "sleep", ["ms"] = 60000 }, "\"policy\":{\"executionTimeout\":300}"));
        Assert.Equal("TIMED_OUT", (string?)slow["status"]);
        Assert.Equal("EXECUTION_TIMEOUT", (string?)slow["errorInfo"]!["code"]);

        var busy = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => jobs.RunAsync(new JsonObject { ["do"] = "sleep", ["ms"] = 60000 })));
        foreach (var b in busy) await jobs.StatusAsync(b, "IN_PROGRESS");
        var waits = await jobs.RunAsync(new JsonObject { ["do"] = "echo" }, "\"policy\":{\"ttl\":1000}");
        JsonObject queued;
        do queued = await jobs.StatusAsync(waits, "IN_QUEUE");
        while ((string?)queued["queue"]!["reason"] != "AT_MAX_WORKERS");
        Assert.Equal(1, (int)queued["queue"]!["position"]!);
        var late = await jobs.EndAsync(waits);
        Assert.Equal("TIMED_OUT", (string?)late["status"]);
        Assert.Equal("TTL_EXPIRED", (string?)late["errorInfo"]!["code"]);
        Assert.Equal(0, Executions(waits));
        foreach (var b in busy) (await jobs.PostAsync($"cancel/{b}")).Dispose();

        using var retried = await jobs.PostAsync($"retry/{waits}");
        Assert.Equal(HttpStatusCode.OK, retried.StatusCode);
        Assert.Equal("COMPLETED", (string?)(await jobs.EndAsync(waits))["status"]);
        using var twice = await jobs.PostAsync($"retry/{waits}");
        Assert.Equal(HttpStatusCode.Conflict, twice.StatusCode);
    }

    [Fact]
    public async Task A_stream_can_be_read_from_any_index_and_ends_with_done()
    {
        var id = await jobs.RunAsync(JsonNode.Parse("""{"do":"stream","chunks":20,"ms":5}""")!);
        var events = await EventsAsync(id, null);
        Assert.Equal(Enumerable.Range(0, 20).Select(n => $"{n}||{{\"n\":{n}}}"), events.SkipLast(1));
        Assert.Equal($$"""20-done|done|{"id":"{{id}}","status":"COMPLETED"}""", events[^1]);
        var rest = await EventsAsync(id, "16");
        Assert.Equal(["17", "18", "19", "20-done"], rest.Select(e => e.Split('|')[0]));

        var first = await jobs.GetAsync($"stream/{id}");
        Assert.Equal(20, first["stream"]!.AsArray().Count);
        Assert.Equal("COMPLETED", (string?)first["status"]);
        Assert.Empty((await jobs.GetAsync($"stream/{id}"))["stream"]!.AsArray());
        Assert.Equal(2, (await jobs.GetAsync($"stream/{id}?cursor=18"))["stream"]!.AsArray().Count);
        var failed = await jobs.RunAsync(JsonNode.Parse("""{"do":"error"}""")!);
        await jobs.EndAsync(failed);
        var failedEvents = await EventsAsync(failed, null);
        Assert.StartsWith("|error|{\"status\":\"FAILED\",\"code\":\"HANDLER_ERROR\"",
            failedEvents[0], StringComparison.Ordinal);
        using var bad = await gateway.Client.GetAsync(new Uri($"/v2/stub/stream/{id}?cursor=x", UriKind.Relative));
        Assert.Equal(HttpStatusCode.BadRequest, bad.StatusCode);
    }

    [Fact]
    public async Task A_client_that_has_the_done_event_gets_204_and_a_client_without_it_gets_it_again()
    {
        var id = await jobs.RunAsync(JsonNode.Parse("""{"do":"stream","chunks":3,"ms":1}""")!);
        await jobs.EndAsync(id);
        foreach (var (last, status) in new[] { ("3-done", 204), ("2", 200), ("-done", 400), ("x-done", 400) })
        {
            using var request = EventsRequest(id, last);
            using var answer = await gateway.Client.SendAsync(request);
            Assert.Equal(status, (int)answer.StatusCode);
            if (status == 200) Assert.Equal(["3-done"], (await EventsAsync(id, last)).Select(e => e.Split('|')[0]));
        }

        // The id of a 'done' event that a retry has invalidated.
        Assert.Equal(["1", "2", "3-done"], (await EventsAsync(id, "1-done")).Select(e => e.Split('|')[0]));
    }

    [Fact]
    public async Task Jobs_of_another_key_do_not_exist()
    {
        var mine = await jobs.RunAsync(1);
        await jobs.EndAsync(mine);
        using var made = await gateway.Client.PostAsync(new Uri("/api/v1/keys", UriKind.Relative), new StringContent("""{"name":"other","invoke":["stub"]}"""));
        using var client = gateway.ClientFor((string)JsonNode.Parse(await made.Content.ReadAsStringAsync())!["key"]!);
        foreach (var (method, path) in new[] { ("GET", "status"), ("GET", "status-sync"), ("GET", "stream"), ("GET", "input"), ("POST", "status"), ("POST", "cancel"), ("POST", "retry") })
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), $"/v2/stub/{path}/{mine}");
            using var answer = await client.SendAsync(request);
            Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        }

        var others = new Jobs(gateway, client: client);
        Assert.Empty((await others.GetAsync("requests"))["requests"]!.AsArray());
    }

    [Theory]
    [InlineData("status/none")]
    [InlineData("status/x:chunks")]
    [InlineData("stream/%2e%2e%2fhealth")]
    [InlineData("status/a%0ab")]
    [InlineData("status-sync/%F0%9F%92%A9")]
    public async Task An_invalid_job_id_is_not_found(string path)
    {
        using var answer = await gateway.Client.GetAsync(new Uri($"/v2/stub/{path}", UriKind.Relative));
        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
    }

    [Fact]
    public async Task The_limits_of_a_key_are_enforced_and_reported()
    {
        using var made = await gateway.Client.PostAsync(new Uri("/api/v1/keys", UriKind.Relative),
            new StringContent("""{"name":"small","invoke":["stub"],"requestsPerMinute":60,"burst":10,"queued":2}"""));
        using var client = gateway.ClientFor((string)JsonNode.Parse(await made.Content.ReadAsStringAsync())!["key"]!);
        var answers = new List<HttpResponseMessage>();
        for (var i = 0; i < 15; i++) answers.Add(await client.GetAsync(new Uri("/v2/stub/health", UriKind.Relative)));
        Assert.Equal(10, answers.TakeWhile(a => a.StatusCode == HttpStatusCode.OK).Count());
        var refused = answers.First(a => a.StatusCode == HttpStatusCode.TooManyRequests);
        Assert.NotNull(refused.Headers.RetryAfter);
        Assert.Equal("\"minute\";q=60;w=60", refused.Headers.GetValues("RateLimit-Policy").Single());
        Assert.StartsWith("\"minute\";r=0;t=", refused.Headers.GetValues("RateLimit").Single(), StringComparison.Ordinal);
        foreach (var answer in answers) answer.Dispose();
    }

    [Fact]
    public async Task Only_a_key_that_polls_in_a_tight_loop_is_delayed_and_then_rejected()
    {
        using var made = await gateway.Client.PostAsync(new Uri("/api/v1/keys", UriKind.Relative), new StringContent("""{"name":"busy","invoke":["stub"]}"""));
        using var client = gateway.ClientFor((string)JsonNode.Parse(await made.Content.ReadAsStringAsync())!["key"]!);
        var polls = Enumerable.Range(0, 3000).Select(_ => client.GetAsync(new Uri("/v2/stub/status/none", UriKind.Relative))).ToList();
        using var other = await gateway.Client.GetAsync(new Uri("/v2/stub/health", UriKind.Relative));
        Assert.Equal(HttpStatusCode.OK, other.StatusCode);
        var answers = await Task.WhenAll(polls);
        Assert.InRange(answers.Count(a => a.StatusCode == HttpStatusCode.NotFound), 900, 2900);
        var refused = answers.First(a => a.StatusCode == HttpStatusCode.TooManyRequests);
        Assert.Equal(TimeSpan.FromSeconds(1), refused.Headers.RetryAfter!.Delta);
        Assert.Contains("SLUICE_POLL_RATE", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        foreach (var answer in answers) answer.Dispose();
    }

    [Fact]
    public async Task Callers_without_a_key_cannot_see_or_end_jobs_of_others_at_a_public_endpoint()
    {
        using var client = new HttpClient { BaseAddress = gateway.Url };
        var anyone = new Jobs(gateway, "open", client);
        Assert.Equal("COMPLETED", (string?)(await anyone.EndAsync(await anyone.RunAsync(1)))["status"]);
        // Two callers can choose the same Idempotency-Key. One would then get the job of the other.
        for (var input = 1; input <= 2; input++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v2/open/run") { Content = new StringContent(Jobs.Body(input)) };
            request.Headers.Add("Idempotency-Key", "order-1");
            using var answer = await client.SendAsync(request);
            Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
            Assert.Contains("Idempotency-Key needs an API key", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }

        foreach (var (method, path) in new[] { ("GET", "requests"), ("GET", "dead-letters"), ("DELETE", "dead-letters"), ("POST", "purge-queue") })
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), $"/v2/open/{path}");
            using var answer = await client.SendAsync(request);
            Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
        }

        Assert.NotEmpty((await new Jobs(gateway, "open").GetAsync("requests"))["requests"]!.AsArray());
    }

    [Fact]
    public async Task Purging_dead_letters_deletes_none_of_other_keys()
    {
        using var made = await gateway.Client.PostAsJsonAsync("/api/v1/keys", new { name = "test", invoke = new[] { "stub" } });
        using var client = gateway.ClientFor((string)JsonNode.Parse(await made.Content.ReadAsStringAsync())!["key"]!);
        using var purge = await client.DeleteAsync(new Uri("/v2/stub/dead-letters", UriKind.Relative));
        Assert.Equal((HttpStatusCode.OK, 0), (purge.StatusCode, (int)JsonNode.Parse(await purge.Content.ReadAsStringAsync())!["removed"]!));
    }

    [Fact]
    public async Task An_idle_event_stream_sends_heartbeats_and_the_largest_index_is_rejected()
    {
        var id = await jobs.RunAsync(new JsonObject { ["do"] = "sleep", ["ms"] = 60000 });
        using var request = EventsRequest(id, null);
        using var answer = await gateway.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        using var lines = new StreamReader(await answer.Content.ReadAsStreamAsync());
        using var limit = new CancellationTokenSource(ChildProcess.Patience, TimeProvider.System);
        while (await lines.ReadLineAsync(limit.Token) is var line && line != ": still here") Assert.Equal("retry: 1000", line);
        using var cancel = await jobs.PostAsync($"cancel/{id}");
        // There is no empty line before the first event: fetch-event-source would deliver an empty message.
        Assert.Matches("^(: still here\n)*(event: error|id: 0-done)\n", await lines.ReadToEndAsync(limit.Token));
        using var again = EventsRequest(id, "2147483647");
        using var refused = await gateway.Client.SendAsync(again);
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
    }

    [Theory]
    [InlineData("requests?status=DONE", "status is 'DONE'; expected one of IN_QUEUE, IN_PROGRESS")]
    [InlineData("requests?limit=0", "limit is '0'")]
    [InlineData("dead-letters?offset=-1", "offset is '-1'")]
    public async Task An_invalid_query_about_jobs_is_rejected(string path, string says)
    {
        using var answer = await gateway.Client.GetAsync(new Uri($"/v2/stub/{path}", UriKind.Relative));
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains(says, (string?)JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["error"], StringComparison.Ordinal);
    }

    private static HttpRequestMessage EventsRequest(string id, string? after)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, $"/v2/stub/stream/{id}") { Headers = { { "Accept", "text/event-stream" } } };
        if (after is not null) request.Headers.Add("Last-Event-ID", after);
        return request;
    }

    private async Task<List<string>> EventsAsync(string id, string? after)
    {
        using var request = EventsRequest(id, after);
        using var answer = await gateway.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal("no", answer.Headers.GetValues("X-Accel-Buffering").Single());
        return await Events.ReadAsync(await answer.Content.ReadAsStreamAsync());
    }

    private int Executions(string id = "") => StubLog.Lines(log).Count(l => l.StartsWith($"begin {id}", StringComparison.Ordinal));

    private Task LogAsync(string line, int after = 0) => Eventually.HoldsAsync(
        () => StubLog.Lines(log).Where(l => l.StartsWith(line, StringComparison.Ordinal)).Skip(after).Any(), line);
}
