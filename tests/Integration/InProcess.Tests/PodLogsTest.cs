using System.Globalization;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Tests the log of a pod as server-sent events, of both APIs.</summary>
public sealed class PodLogsTest(PodsGateway pods) : IClassFixture<PodsGateway>
{
    [Fact]
    public async Task A_log_is_followed_over_a_restart_and_continued_after_the_last_event()
    {
        const string script = "echo one; echo two; echo run >> file; wc -l < file; exec sleep 1000";
        var pod = await pods.CreateAsync($$"""{"name":"n","template":"shell","args":["{{script}}"]}""");
        await pods.UntilAsync(pod, "RUNNING");
        string last;
        await using (var log = await FollowAsync($"/api/v1/pods/{pod}/logs?source=container"))
        {
            var events = new[] { await log.NextAsync(), await log.NextAsync(), await log.NextAsync() };
            Assert.Equal(["one", "two", "1"], events.Select(e => e.Line.Trim()));
            Assert.All(events, e => Assert.Equal("container", e.Source));
            Assert.All(events, e => Assert.Equal(e.Ts, e.Id.Split('/')[0]));
            Assert.True(DateTimeOffset.TryParse(events[0].Ts, CultureInfo.InvariantCulture, out _));
            last = events[1].Id;
            Assert.Equal(200, await pods.ActAsync(pod, "restart"));
            var next = new[] { await log.NextAsync(), await log.NextAsync(), await log.NextAsync() };
            Assert.Equal(["one", "two", "2"], next.Select(e => e.Line.Trim()));
        }

        // The process of the first run has been replaced. Of its log, only what followed is gone.
        await using (var log = await FollowAsync($"/v2/pods/{pod}/logs?source=container&tail=1"))
            Assert.Equal("2", (await log.NextAsync()).Line.Trim());
        await using (var log = await FollowAsync($"/v2/pods/{pod}/logs?source=container", last))
            Assert.Equal(["one", "two"], new[] { await log.NextAsync(), await log.NextAsync() }.Select(e => e.Line));
        string second;
        await using (var log = await FollowAsync($"/v2/pods/{pod}/logs?source=container"))
        {
            await log.NextAsync();
            second = (await log.NextAsync()).Id;
        }

        await using (var log = await FollowAsync($"/v2/pods/{pod}/logs?source=container", second))
            Assert.Equal("2", (await log.NextAsync()).Line.Trim());
        await using (var log = await FollowAsync(
            $"/v2/pods/{pod}/logs?source=container&since={Uri.EscapeDataString(second.Split('/')[0])}"))
            Assert.Equal("2", (await log.NextAsync()).Line.Trim());
    }

    [Fact]
    public async Task The_system_log_has_what_the_gateway_did()
    {
        var pod = await pods.CreateAsync("""{"name":"n","template":"shell","args":["exec sleep 1000"]}""");
        await pods.UntilAsync(pod, "RUNNING");
        await using var log = await FollowAsync($"/api/v1/pods/{pod}/logs?source=system");
        Assert.Equal("system", (await log.UntilAsync(e => e.Line == "RUNNING")).Source);
        Assert.Equal(200, await pods.ActAsync(pod, "stop"));
        await log.UntilAsync(e => e.Line.StartsWith("EXITED", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_log_ends_when_its_pod_is_terminated()
    {
        var pod = await pods.CreateAsync("""{"name":"n","template":"shell","args":["echo one; exec sleep 1000"]}""");
        await pods.UntilAsync(pod, "RUNNING");
        await using var log = await FollowAsync($"/api/v1/pods/{pod}/logs");
        await using var output = await FollowAsync($"/v2/pods/{pod}/logs?source=container");
        Assert.Equal("one", (await output.NextAsync()).Line);
        Assert.Equal(200, await pods.ActAsync(pod, "terminate"));
        var lines = await log.RestAsync();
        Assert.Contains(lines, e => (e.Source, e.Line) == ("container", "one"));
        Assert.StartsWith("TERMINATED", lines.Last(e => e.Source == "system").Line, StringComparison.Ordinal);
        Assert.Empty(await output.RestAsync());
    }

    [Theory]
    [InlineData("source=all", "source is 'all'; expected container or system")]
    [InlineData("tail=x", "tail is 'x'; expected a number from 0 to 5000")]
    [InlineData("tail=5001", "tail is '5001'; expected a number from 0 to 5000")]
    [InlineData("since=yesterday", "since is 'yesterday'; expected a time like")]
    public async Task An_invalid_query_is_refused(string query, string error)
    {
        var pod = await pods.CreateAsync("""{"name":"n","template":"shell","args":["exec sleep 1000"]}""");
        var (status, answer) = await pods.SendAsync(HttpMethod.Get, $"/api/v1/pods/{pod}/logs?{query}");
        Assert.Equal(400, status);
        Assert.Contains(error, (string?)answer["detail"], StringComparison.Ordinal);
    }

    private async Task<Events> FollowAsync(string path, string? last = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        if (last is not null) request.Headers.Add("Last-Event-ID", last);
        var answer = await pods.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal("text/event-stream", answer.Content.Headers.ContentType!.MediaType);
        return new Events(answer, new StreamReader(await answer.Content.ReadAsStreamAsync()));
    }

    private sealed record LogLine(string Id, string Source, string Line, string Ts);

    private sealed class Events(HttpResponseMessage answer, StreamReader reader) : IAsyncDisposable
    {
        public async Task<LogLine> NextAsync() =>
            await TryNextAsync() ?? throw new InvalidOperationException("the log ended");

        /// <summary>Returns the other lines, when the log has ended.</summary>
        public async Task<IReadOnlyList<LogLine>> RestAsync()
        {
            // The comments of an open log keep each single read short.
            using var limit = new CancellationTokenSource(ChildProcess.Patience, TimeProvider.System);
            var lines = new List<LogLine>();
            while (await TryNextAsync(limit.Token) is { } line) lines.Add(line);
            return lines;
        }

        private async Task<LogLine?> TryNextAsync(CancellationToken ct = default)
        {
            var id = "";
            while (await reader.ReadLineAsync(ct).AsTask().WaitAsync(ChildProcess.Patience, ct) is { } line)
            {
                if (line.StartsWith("id: ", StringComparison.Ordinal)) id = line[4..];
                if (!line.StartsWith("data: ", StringComparison.Ordinal)) continue;
                var data = JsonNode.Parse(line[6..])!;
                return new LogLine(id, (string)data["source"]!, (string)data["line"]!, (string)data["ts"]!);
            }

            return null;
        }

        public async Task<LogLine> UntilAsync(Func<LogLine, bool> holds)
        {
            while (true)
                if (await NextAsync() is { } line && holds(line)) return line;
        }

        public ValueTask DisposeAsync()
        {
            reader.Dispose();
            answer.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
