using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>What a worker does wrong never looks right to a client, and what it may not say is not said.</summary>
public sealed class HostileWorkerTest(HostileWorkerTest.Hostile hostile) : IClassFixture<HostileWorkerTest.Hostile>
{
    public sealed class Hostile : IAsyncLifetime
    {
        private readonly string folder = Directory.CreateTempSubdirectory("sluice-hostile-").FullName;

        public InProcessGateway Gateway { get; private set; } = null!;

        /// <summary>Executions of a path, as the workers noted them.</summary>
        public int Ran(string path)
        {
            var log = Path.Combine(folder, "ran");
            return File.Exists(log) ? File.ReadAllLines(log).Count(line => line == path) : 0;
        }

        public async ValueTask InitializeAsync()
        {
            var script = Repository.HostileWorker;
            Gateway = await InProcessGateway.StartAsync($$"""
                templates:
                  - name: hostile
                    command: [/usr/bin/python3, "{{script}}", "{port}", "{{folder}}"]
                    protocol: http1
                    readyPath: /ready
                    handlerPath: /unframed-events
                  - name: working
                    command: [/usr/bin/python3, "{{script}}", "{port}", "{{folder}}"]
                    protocol: http1
                    readyPath: /ready
                    handlerPath: /job
                  - name: boasting
                    command: [/usr/bin/python3, "{{script}}", "{port}", "{{folder}}"]
                    protocol: http1
                    readyPath: /ready-boasting
                  - name: lying
                    command: [/usr/bin/python3, "{{script}}", "{port}", "{{folder}}"]
                    readyPath: /ready
                    handlerPath: /handler
                  - name: latin1
                    command: [/usr/bin/python3, "{{script}}", "{port}", "{{folder}}"]
                    protocol: http1
                    readyPath: /ready
                    handlerPath: /latin1
                  - name: latin1-events
                    command: [/usr/bin/python3, "{{script}}", "{port}", "{{folder}}"]
                    protocol: http1
                    readyPath: /ready
                    handlerPath: /latin1-events
                endpoints:
                  - { id: latin1, template: latin1 }
                  - { id: latin1-events, template: latin1-events }
                  - { id: boasting, template: boasting }
                  - { id: working, template: working, jobs: { maxRuns: 3 } }
                  - { id: lying, template: lying, jobs: { maxRuns: 1 } }
                  - { id: hostile, template: hostile, forwarding: { activityTimeout: 2s, replayBytes: 1000 } }
                  - { id: open, template: hostile, public: true, forwarding: { maxAttempts: 1 } }
                  - { id: mortal, template: hostile, forwarding: { replayBytes: 1000, maxAttempts: 2 } }
                """);
        }

        public async ValueTask DisposeAsync()
        {
            await Gateway.DisposeAsync();
            Directory.Delete(folder, recursive: true);
        }
    }

    [Theory]
    [InlineData("/cut-length")]
    [InlineData("/cut-chunks")]
    public async Task A_cut_answer_never_looks_whole(string path)
    {
        await Assert.ThrowsAnyAsync<HttpRequestException>(async () =>
        {
            using var answer = await hostile.Gateway.Client.GetAsync(new Uri("/e/hostile" + path, UriKind.Relative));
            await answer.Content.ReadAsStringAsync();
        });
    }

    [Theory]
    [InlineData("/unframed", 502, "neither a length nor chunks")]
    [InlineData("/garbage", 502, "Received an invalid status line")]
    [InlineData("/empty", 502, "failed before its response, in attempt")]
    [InlineData("/hang", 504, "The worker sent nothing for 2 s (forwarding.activityTimeout")]
    public async Task What_cannot_be_passed_on_is_told_as_such(string path, int status, string says)
    {
        using var answer = await hostile.Gateway.Client.GetAsync(new Uri("/e/hostile" + path, UriKind.Relative));
        var body = await answer.Content.ReadAsStringAsync();
        Assert.True((int)answer.StatusCode == status, body);
        Assert.Contains(says, (string?)JsonNode.Parse(body)!["error"], StringComparison.Ordinal);
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType!.MediaType);
    }

    [Fact]
    public async Task An_invalid_response_is_logged_with_its_request_and_worker()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/e/hostile/unframed");
        request.Headers.Add("X-Request-Id", "unframed-and-logged");
        using var answer = await hostile.Gateway.Client.SendAsync(request);
        Assert.Equal(HttpStatusCode.BadGateway, answer.StatusCode);
        var logged = await hostile.Gateway.Log.EventAsync("WorkerResponseInvalid", ("Request", "unframed-and-logged"));
        Assert.StartsWith("hostile-", logged["Worker"], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("latin1", "\"caf\uFFFD \U0001F98A\"")]
    [InlineData("latin1-events", "[\"caf\uFFFD\",[1]]")]
    public async Task An_output_that_is_not_UTF8_is_JSON_for_clients(string endpoint, string output)
    {
        var jobs = new Jobs(hostile.Gateway, endpoint);
        var id = await jobs.RunAsync(1);
        Assert.Equal("COMPLETED", (string?)(await jobs.EndAsync(id))["status"]);
        var body = await hostile.Gateway.Client.GetByteArrayAsync(new Uri($"/v2/{endpoint}/status/{id}", UriKind.Relative));
        Assert.True(System.Text.Unicode.Utf8.IsValid(body));
        Assert.Contains($"\"output\":{output}", Encoding.UTF8.GetString(body), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_event_stream_whose_end_cannot_be_told_from_a_cut_is_no_result()
    {
        var jobs = new Jobs(hostile.Gateway, "hostile");
        var job = await jobs.EndAsync(await jobs.RunAsync(1));
        Assert.Equal(("FAILED", "WORKER_ANSWER_INVALID"), ((string?)job["status"], (string?)job["errorInfo"]!["code"]));
        Assert.Contains("neither a length nor chunks", (string?)job["error"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_output_over_HTTP2_that_is_not_as_long_as_its_header_says_is_no_result()
    {
        var jobs = new Jobs(hostile.Gateway, "lying");
        var job = await jobs.EndAsync(await jobs.RunAsync(1));
        Assert.Equal(("FAILED", "WORKER_ANSWER_INVALID"), ((string?)job["status"], (string?)job["errorInfo"]!["code"]));
        Assert.Contains("the body has 1 bytes, but its Content-Length is 2", (string?)job["error"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Headers_are_those_of_these_lists_and_no_others()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/e/hostile/headers");
        foreach (var (name, value) in new[] { ("Cookie", "a=b"), ("X-Forwarded-For", "6.6.6.6"), ("X-Real-IP", "6.6.6.6"), ("X-Sluice-Worker", "x"),
            ("Forwarded", "for=6.6.6.6"), ("Connection", "X-Secret, TE"), ("X-Secret", "1"), ("X-Kept", "2"), ("X-Request-Id", "my-own-id"),
            ("X-Sluice_Admin", "1"), ("X_Sluice_Admin", "1"), ("X-Forwarded_For", "6.6.6.6"), ("Proxy_Authorization", "x"),
            ("X-Request_Id", "x"), ("Content_Length", "0") })
            request.Headers.TryAddWithoutValidation(name, value);

        using var answer = await hostile.Gateway.Client.SendAsync(request);

        var seen = JsonNode.Parse(await answer.Content.ReadAsStringAsync())!.AsArray()
            .ToDictionary(h => (string)h![0]!, h => (string)h![1]!, StringComparer.OrdinalIgnoreCase);
        Assert.Equal(["authorization", "host", "x-kept", "x-request-id"], seen.Keys.Select(k => k.ToLowerInvariant()).Order(StringComparer.Ordinal));
        Assert.DoesNotContain(hostile.Gateway.Key, seen["Authorization"], StringComparison.Ordinal);
        Assert.Equal("my-own-id", seen["X-Request-Id"]);
        Assert.Equal("my-own-id", answer.Headers.GetValues("X-Request-Id").Single());
        // The endpoint has no policy for CORS, and neither has the gateway: the worker's own passes.
        Assert.Equal(["access-control-allow-origin", "cache-control", "date", "server-timing", "x-own", "x-request-id", "x-sluice-worker"],
            answer.Headers.Select(h => h.Key.ToLowerInvariant()).Order(StringComparer.Ordinal));
        Assert.StartsWith("hostile-", answer.Headers.GetValues("X-Sluice-Worker").Single(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_worker_tells_of_its_start_cannot_end_the_gateway()
    {
        using var answer = await hostile.Gateway.Client.PostAsync("/e/boasting/echo", new StringContent("hello"));
        Assert.Equal("hello", await answer.Content.ReadAsStringAsync());
        Assert.Single(await hostile.Gateway.WorkersAsync("boasting", "ready"));
    }

    [Fact]
    public async Task A_worker_that_dies_before_its_first_byte_costs_the_client_nothing()
    {
        using var answer = await hostile.Gateway.Client.PostAsync("/e/mortal/die-once", new StringContent(new string('x', 900)));
        Assert.Equal("second try: 900 bytes", await answer.Content.ReadAsStringAsync());
        // A probe that the worker answered just before it died can let one more connection fail, which is no attempt.
        var lost = hostile.Gateway.Log.Entries.Where(e => e.Is("WorkerLost", ("Endpoint", "mortal"))).ToList();
        Assert.Single(lost, e => e["Reason"] != new SocketException((int)SocketError.ConnectionRefused).Message);
        var retries = await hostile.Gateway.MetricAsync("sluice_request_retries_total", "endpoint=\"mortal\"");
        Assert.Equal(lost.Count, retries);
    }

    [Fact]
    public async Task A_body_larger_than_what_is_kept_is_not_sent_twice()
    {
        using var answer = await hostile.Gateway.Client.PostAsync("/e/hostile/die-always", new StringContent(new string('x', 5000)));
        Assert.Equal(HttpStatusCode.BadGateway, answer.StatusCode);
        Assert.Contains("in attempt 1.", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Bytes_pass_unchanged()
    {
        var bytes = new byte[300_000];
        new Random(1).NextBytes(bytes);
        using var answer = await hostile.Gateway.Client.PostAsync("/e/hostile/echo", new ByteArrayContent(bytes));
        Assert.Equal(bytes, await answer.Content.ReadAsByteArrayAsync());
    }

    [Fact]
    public async Task An_upgraded_connection_carries_bytes_both_ways()
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, hostile.Gateway.Url.Port);
        var stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(
            $"GET /e/hostile/upgrade HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {hostile.Gateway.Key}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"));
        using var reader = new StreamReader(stream, Encoding.ASCII);
        Assert.Equal("HTTP/1.1 101 Switching Protocols", await reader.ReadLineAsync());
        while (await reader.ReadLineAsync() is { Length: > 0 })
        {
        }

        await stream.WriteAsync("ping\n"u8.ToArray());
        Assert.Equal("ping", await reader.ReadLineAsync());
    }
}
