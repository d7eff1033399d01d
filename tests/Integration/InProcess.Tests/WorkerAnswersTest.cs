using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>A worker that answered has executed the request: it is not asked again, and it is not ended, whatever its answer looks like.</summary>
public sealed class WorkerAnswersTest(HostileWorkerTest.Hostile hostile) : IClassFixture<HostileWorkerTest.Hostile>
{
    [Theory]
    [InlineData("hostile", "/control-character", "Invalid non-ASCII or control character in header")]
    [InlineData("hostile", "/many-headers", "headers")]
    [InlineData("hostile", "/two-lengths", "2 Content-Length headers")]
    [InlineData("hostile", "/stray-101", "status 101, but the request asked for no upgrade")]
    [InlineData("hostile", "/status-99", "status 99; expected 200 to 599")]
    [InlineData("hostile", "/status-2", "Received an invalid status code")]
    [InlineData("hostile", "/bad-name", "Received an invalid header name")]
    [InlineData("hostile", "/bad-chunk", "chunk")]
    [InlineData("hostile", "/headers-only", "ended after its headers")]
    [InlineData("lying", "/many-headers", "headers of the worker's response have 70")]
    [InlineData("lying", "/no-status", "cannot be forwarded")]
    public async Task A_post_whose_answer_cannot_be_passed_on_is_executed_once_and_answered_502_with_the_reason(string endpoint, string path, string says)
    {
        await ReadyAsync(endpoint);
        var before = (await hostile.Gateway.WorkersAsync(endpoint, "ready")).Select(w => (string?)w["id"]).ToList();
        var ran = hostile.Ran(path);
        var retries = await RetriesAsync();
        using var answer = await hostile.Gateway.Client.PostAsync(new Uri($"/e/{endpoint}{path}", UriKind.Relative), new StringContent("1"));
        var body = await answer.Content.ReadAsStringAsync();

        Assert.True(answer.StatusCode == HttpStatusCode.BadGateway, $"{(int)answer.StatusCode} {body}");
        Assert.Contains(says, (string?)JsonNode.Parse(body)!["error"], StringComparison.Ordinal);
        // The link names the log of the worker, which any key with the scope read can read.
        var link = answer.Headers.GetValues("Link").Single();
        Assert.EndsWith(">; rel=\"worker-log\"", link, StringComparison.Ordinal);
        var logPath = link[1..link.IndexOf('>', StringComparison.Ordinal)];
        using var log = await hostile.Gateway.Client.GetAsync(new Uri(logPath, UriKind.Relative));
        Assert.Equal(HttpStatusCode.OK, log.StatusCode);
        Assert.Equal(1, hostile.Ran(path) - ran);
        Assert.Equal(retries, await RetriesAsync());
        if (path != "/headers-only") Assert.Equal(before, (await hostile.Gateway.WorkersAsync(endpoint, "ready")).Select(w => (string?)w["id"]));

        Task<double> RetriesAsync() => hostile.Gateway.MetricAsync("sluice_request_retries_total", $"endpoint=\"{endpoint}\"");
    }

    [Theory]
    [InlineData("/bad-name", "The response of the worker cannot be forwarded: ", "The response of worker open-")]
    [InlineData("/headers-only", "The response of the worker ended after its headers", "The response of worker open-")]
    [InlineData("/cut-headers", "The connection to the worker failed before", "The connection to worker open-")]
    public async Task Error_texts_name_the_worker_only_to_callers_with_a_key(string path, string anonymous, string named)
    {
        using var client = hostile.Gateway.ClientFor(null);
        Assert.StartsWith(anonymous, await TextAsync(client), StringComparison.Ordinal);
        Assert.StartsWith(named, await TextAsync(hostile.Gateway.Client), StringComparison.Ordinal);

        async Task<string?> TextAsync(HttpClient caller)
        {
            await ReadyAsync("open");
            var target = new Uri($"/e/open{path}", UriKind.Relative);
            using var response = await caller.PostAsync(target, new StringContent("1"));
            Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
            Assert.Equal(caller == client, !response.Headers.Contains("Link"));
            return (string?)JsonNode.Parse(await response.Content.ReadAsStringAsync())!["detail"];
        }
    }

    [Fact]
    public async Task A_worker_that_is_silent_after_its_headers_is_asked_once()
    {
        using var answer = await hostile.Gateway.Client.PostAsync(new Uri("/e/hostile/silent-body", UriKind.Relative), new StringContent("1"));
        Assert.True(answer.StatusCode == HttpStatusCode.GatewayTimeout, await answer.Content.ReadAsStringAsync());
        Assert.Equal(1, hostile.Ran("/silent-body"));
    }

    [Theory]
    [InlineData("/two-lengths", "2 Content-Length headers")]
    [InlineData("/many-headers", "headers")]
    [InlineData("/bad-name", "Received an invalid header name")]
    [InlineData("/bad-chunk", "chunk")]
    [InlineData("/stray-101", "status 101")]
    [InlineData("/status-99", "status 99")]
    public async Task A_job_whose_answer_cannot_be_read_is_executed_once_and_failed_with_the_reason(string path, string says)
    {
        var jobs = new Jobs(hostile.Gateway, "working");
        var ran = hostile.Ran(path);
        var job = await jobs.EndAsync(await jobs.RunAsync(JsonNode.Parse($$"""{"path":"{{path}}"}""")!));
        Assert.Equal(("FAILED", "WORKER_ANSWER_INVALID"), ((string?)job["status"], (string?)job["errorInfo"]?["code"]));
        Assert.Contains(says, (string?)job["error"], StringComparison.Ordinal);
        Assert.Equal(1, hostile.Ran(path) - ran);
    }

    [Fact]
    public async Task Header_values_pass_byte_by_byte_in_both_directions()
    {
        var answer = await RawAsync("GET /e/hostile/utf8 HTTP/1.1", "User-Agent: caf\u00c3\u00a9 \u00ff");
        Assert.StartsWith("HTTP/1.1 200", answer, StringComparison.Ordinal);
        Assert.Contains("caf\\u00c3\\u00a9 \\u00ff", answer, StringComparison.Ordinal);
        Assert.Contains("\r\nX-Name: caf\u00c3\u00a9\r\n", answer, StringComparison.Ordinal);

        answer = await RawAsync("GET /e/lying/utf8 HTTP/1.1", "Referer: caf\u00c3\u00a9");
        Assert.StartsWith("HTTP/1.1 200", answer, StringComparison.Ordinal);
        Assert.Contains("\r\nx-name: caf\u00c3\u00a9\r\n", answer, StringComparison.Ordinal);
        Assert.Contains("\r\n1\r\n", answer, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("close, X-Secret")]
    [InlineData("X-Secret, close")]
    [InlineData("X-Secret\r\nConnection: close")]
    [InlineData("close\r\nConnection: keep-alive, x-secret")]
    [InlineData("keep-alive, X-Secret\r\nConnection: close")]
    public async Task A_header_that_Connection_names_does_not_pass(string connection)
    {
        var answer = await RawAsync("GET /e/hostile/headers HTTP/1.1", "X-Secret: 1\r\nX-Kept: 2", connection);
        Assert.Contains("X-Kept", answer, StringComparison.Ordinal);
        Assert.DoesNotContain("X-Secret", answer, StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData("/target/%252e%252e/x", "/target/%252e%252e/x")]
    [InlineData("/target/%zz?q=%zz%41", "/target/%zz?q=%zz%41")]
    [InlineData("/target//%41%2F/{}|~;..;", "/target//%41%2F/{}|~;..;")]
    [InlineData("/target/%C3%A9/...", "/target/%C3%A9/...")]
    [InlineData("/target?", "/target?")]
    public async Task A_path_reaches_the_worker_as_it_was_sent(string path, string seen) =>
        Assert.EndsWith("\r\n\r\n" + seen, await RawAsync($"GET /e/hostile{path} HTTP/1.1"), StringComparison.Ordinal);

    [Theory]
    [InlineData("/e/boasting/../hostile/target")]
    [InlineData("/e/hostile/%2e%2E/hostile/target")]
    [InlineData("/e/hostile/target/.")]
    [InlineData("/e/hostile/target#fragment")]
    [InlineData("http://x/e/hostile/target%2Fb")]
    public async Task A_path_that_can_be_read_in_two_ways_is_refused(string path)
    {
        var answer = await RawAsync($"GET {path} HTTP/1.1");
        Assert.StartsWith("HTTP/1.1 400", answer, StringComparison.Ordinal);
        Assert.Contains("application/problem+json", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_answer_without_content_has_none_whatever_its_length_says()
    {
        Assert.StartsWith("HTTP/1.1 204", await RawAsync("GET /e/hostile/no-content HTTP/1.1"), StringComparison.Ordinal);
        var answer = await RawAsync("POST /e/hostile/reset-content HTTP/1.1", "Content-Length: 0");
        Assert.StartsWith("HTTP/1.1 205", answer, StringComparison.Ordinal);
        Assert.DoesNotContain("12345", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_websocket_to_a_worker_whose_HTTP2_has_none_is_refused_with_the_reason()
    {
        var answer = await RawAsync("GET /e/lying/socket HTTP/1.1",
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Upgrade, close");
        Assert.StartsWith("HTTP/1.1 502", answer, StringComparison.Ordinal);
        Assert.Contains("CONNECT", answer, StringComparison.Ordinal);
        Assert.Equal(0, await hostile.Gateway.MetricAsync("sluice_request_retries_total", "endpoint=\"lying\""));
    }

    [Theory]
    [InlineData("/healthz")]
    [InlineData("/readyz")]
    [InlineData("/v2/health/live")]
    [InlineData("/v2/health/ready")]
    public async Task Health_is_answered_to_HEAD_without_a_key(string path)
    {
        using var client = hostile.Gateway.ClientFor(null);
        using var request = new HttpRequestMessage(HttpMethod.Head, path);
        using var answer = await client.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Empty(await answer.Content.ReadAsByteArrayAsync());
    }

    private async Task ReadyAsync(string endpoint)
    {
        using var answer = await hostile.Gateway.Client.GetAsync(new Uri($"/e/{endpoint}/ready", UriKind.Relative));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    /// <summary>Sends bytes as they are, and reads until the gateway closes the connection.</summary>
    private async Task<string> RawAsync(string line, string more = "", string connection = "close")
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, hostile.Gateway.Url.Port);
        var stream = client.GetStream();
        var head = $"{line}\r\nHost: x\r\nConnection: {connection}\r\nAuthorization: Bearer {hostile.Gateway.Key}\r\n{(more.Length > 0 ? more + "\r\n" : "")}\r\n";
        await stream.WriteAsync(Encoding.Latin1.GetBytes(head));
        using var answer = new MemoryStream();
        await stream.CopyToAsync(answer);
        return Encoding.Latin1.GetString(answer.ToArray());
    }
}
