using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>
/// Tests what clients of streams receive while they wait for a worker: comments, then the stream or an error. Another
/// request uses the only slot.
/// </summary>
public sealed class WaitingStreamTest
{
    private const string Comment = ": waiting for a worker";
    private const string Event = """data: {"choices":[{"index":0,"text":"a"}]}""";

    [Theory]
    [InlineData("marked", Event, Event, Event)]
    [InlineData("unmarked", Event, Event, Event)]
    [InlineData("error", """data: {"error":{"message":"not this","code":"stub"}}""")]
    public async Task A_waiting_client_gets_comments_and_then_what_the_worker_sends(string what, params string[] expected)
    {
        await using var gateway = await StartAsync("1m");
        var (holding, stop) = await HoldAsync(gateway);
        using var response = await SendAsync(gateway, new { model = "stub", stream = true, @do = what });
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        Assert.Equal(Comment, await reader.ReadLineAsync());
        await EndAsync(holding, stop);
        var events = (await reader.ReadToEndAsync()).Split("\n\n", StringSplitOptions.RemoveEmptyEntries)
            .Select(e => e.Trim('\n')).Where(e => e != Comment).ToList();
        Assert.Matches("^: Server-Timing: auth;dur=.*, queue;dur=[1-9].*, cold;dur=", events[0]);
        Assert.Equal([.. expected, "data: [DONE]"], events[1..]);
        Assert.Equal(1, await CountAsync(gateway, "answered"));
    }

    [Fact]
    public async Task A_response_that_is_no_stream_becomes_an_error_event()
    {
        await using var gateway = await StartAsync("1m");
        var (holding, stop) = await HoldAsync(gateway);
        using var response = await SendAsync(gateway, new { model = "stub", stream = true }, "chat/completions");
        await EndAsync(holding, stop);
        var text = await response.Content.ReadAsStringAsync();
        Assert.Contains("the content type 'application/json'; expected text/event-stream", text, StringComparison.Ordinal);
        Assert.EndsWith("data: [DONE]\n\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_end_of_the_wait_is_an_error_event_and_without_a_stream_a_status_that_forbids_retries()
    {
        await using var gateway = await StartAsync("6s");
        var (holding, stop) = await HoldAsync(gateway);
        var streaming = SendAsync(gateway, new { model = "stub", stream = true });
        using var whole = await SendAsync(gateway, new { model = "stub" });
        Assert.Equal(HttpStatusCode.GatewayTimeout, whole.StatusCode);
        Assert.Equal(["false"], whole.Headers.GetValues("x-should-retry"));
        Assert.Matches("^auth;dur=.*, queue;dur=", whole.Headers.GetValues("Server-Timing").Single());
        using var stream = await streaming;
        Assert.Equal(HttpStatusCode.OK, stream.StatusCode);
        var events = (await stream.Content.ReadAsStringAsync()).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal((Comment, "data: [DONE]"), (events[0], events[^1]));
        var error = JsonNode.Parse(events[^2]["data: ".Length..])!["error"]!;
        Assert.Equal("server_error", (string?)error["type"]);
        Assert.Contains("queue.timeout of the endpoint", (string?)error["message"], StringComparison.Ordinal);
        await EndAsync(holding, stop);
    }

    [Theory]
    [InlineData("fffffffffffffffffff\r\n")]
    [InlineData("FFFFFFFFFFFFFFFF1\r\nx")]
    [InlineData("no size\r\n")]
    public async Task A_body_that_becomes_invalid_in_the_wait_gets_400_and_loses_no_slot(string rest)
    {
        await using var gateway = await StartAsync("1m");
        var (holding, stop) = await HoldAsync(gateway);
        using var socket = new TcpClient();
        await socket.ConnectAsync(gateway.Url.Host, gateway.Url.Port);
        const string part = """{"model":"stub","do":"marked","stream":true""";
        await socket.GetStream().WriteAsync(Encoding.ASCII.GetBytes(
            "POST /v1/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
            + $"Authorization: Bearer {gateway.Key}\r\n\r\n{part.Length:x}\r\n{part}\r\n"));
        await Eventually.HoldsAsync(
            async () => await gateway.MetricAsync("sluice_queue_depth", "endpoint=\"stub\"") > 0, "the request waits");
        await socket.GetStream().WriteAsync(Encoding.ASCII.GetBytes(rest));
        // The body is looked at when a comment is due, which another client receives after that.
        using (var other = await SendAsync(gateway, new { model = "stub", stream = true, @do = "marked" }))
        {
            using var events = new StreamReader(await other.Content.ReadAsStreamAsync());
            foreach (var line in new[] { Comment, "", Comment }) Assert.Equal(line, await events.ReadLineAsync());
            await EndAsync(holding, stop);
            Assert.EndsWith("[DONE]\n\n", await events.ReadToEndAsync(), StringComparison.Ordinal);
        }

        using var reader = new StreamReader(socket.GetStream());
        Assert.Equal("HTTP/1.1 400 Bad Request", await reader.ReadLineAsync());
        using var next = await SendAsync(gateway, new { model = "stub", @do = "marked" });
        Assert.EndsWith("[DONE]\n\n", await next.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_official_client_ignores_the_comments_raises_the_error_and_sends_nothing_again()
    {
        Require.Program("node", "nodejs and npm, which fetch openai");
        var client = Path.Combine(Repository.Root, "tests", "Unit", "Worker.Tests", "openai");
        await using var gateway = await StartAsync("8s");
        await using var node = new ChildProcess("/usr/bin/env",
            ["node", Path.Combine(client, "waiting.mjs"), new Uri(gateway.Url, "/v1").ToString(), gateway.Key],
            new Dictionary<string, string?>());
        var seen = JsonNode.Parse(await node.LineAsync("{\"text\""))!;
        Assert.Equal("aaa", (string?)seen["text"]);
        Assert.Contains("queue.timeout", (string?)seen["stream"], StringComparison.Ordinal);
        Assert.Contains("queue.timeout", (string?)seen["whole"], StringComparison.Ordinal);
        Assert.Equal(2, await CountAsync(gateway, "queue_timeout"));
    }

    /// <summary>
    /// Starts a gateway, and waits until the only slot exists: a cold start can take longer than the timeout.
    /// </summary>
    private static async Task<InProcessGateway> StartAsync(string timeout)
    {
        var gateway = await InProcessGateway.StartAsync(Jobs.Manifest("/dev/null", concurrency: 1,
            more: $"queue: {{ keepAlive: 1s, timeout: {timeout} }}", scaling: ", min: 1"));
        await Eventually.HoldsAsync(
            async () => (await gateway.WorkersAsync("stub", "ready")).Count == 1, "the worker is ready");
        return gateway;
    }

    /// <summary>Uses the only slot until the token is cancelled.</summary>
    private static async Task<(Task Holding, CancellationTokenSource Stop)> HoldAsync(InProcessGateway gateway)
    {
        var stop = new CancellationTokenSource();
        var holding = gateway.Client.PostAsJsonAsync(
            "/v1/chat/completions", new { model = "stub", ms = 600_000 }, stop.Token);
        await Eventually.HoldsAsync(
            async () => await gateway.MetricAsync("sluice_requests_in_flight", "endpoint=\"stub\"") == 1,
            "the slot is in use");
        return (holding, stop);
    }

    private static async Task EndAsync(Task holding, CancellationTokenSource stop)
    {
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => holding);
        stop.Dispose();
    }

    private static Task<double> CountAsync(InProcessGateway gateway, string outcome) =>
        gateway.MetricAsync("sluice_requests_total", $"endpoint=\"stub\",outcome=\"{outcome}\"");

    private static Task<HttpResponseMessage> SendAsync(
        InProcessGateway gateway, object body, string path = "completions") =>
        gateway.Client.SendAsync(
            new HttpRequestMessage(HttpMethod.Post, $"/v1/{path}") { Content = JsonContent.Create(body) },
            HttpCompletionOption.ResponseHeadersRead);
}
