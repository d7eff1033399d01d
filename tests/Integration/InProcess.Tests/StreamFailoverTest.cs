using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Tests that clients do not notice the deaths of workers, with real workers that are killed.</summary>
[Trait("Needs", "publish")]
public sealed class StreamFailoverTest
{
    private const int Sigkill = 9, Streams = 16, Kills = 5;

    [Fact]
    public async Task Streams_continue_on_other_workers_when_theirs_are_killed()
    {
        await using var gateway = await StartAsync();
        var requests = Enumerable.Range(0, Streams).Select(Request).ToList();
        var expected = await Task.WhenAll(requests.Select(r => TextClient.SendAsync(gateway.Client, r)));
        Assert.True(expected.Select(e => e.Text).Distinct().Count() > Streams / 2);

        var received = 0;
        var events = expected.Sum(e => e.Events);
        // The kills are spread over the events of all streams.
        var killed = 0;
        var killing = new SemaphoreSlim(1);
        var texts = await Task.WhenAll(requests.Select(r => TextClient.SendAsync(gateway.Client, r, OnEventAsync)));
        for (var i = 0; i < Streams; i++) Assert.Equal(expected[i].Text, texts[i].Text);
        Assert.Equal(expected.Select(e => e.Usage), texts.Select(t => t.Usage));
        Assert.Equal(Kills, killed);
        Assert.True(await gateway.MetricAsync("sluice_streams_continued_total", "endpoint=\"story\"") > 0);

        async Task OnEventAsync(string worker)
        {
            if (Interlocked.Increment(ref received) < (killed + 1) * (events / (Kills + 1)) || killed == Kills) return;
            if (!await killing.WaitAsync(0)) return;
            killed++;
            await KillAsync(gateway);
            killing.Release();
        }
    }

    [Fact]
    public async Task A_stream_ends_with_an_error_if_no_worker_can_continue_it()
    {
        await using var gateway = await InProcessGateway.StartAsync(Jobs.Manifest("/dev/null", max: 2));
        using var response = await gateway.Client.PostAsJsonAsync(
            "/v1/completions", new { model = "stub", @do = "refuse" });
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.False(response.Headers.Contains("X-Sluice-Resume"));
        var events = (await response.Content.ReadAsStringAsync()).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(5, events.Length);
        Assert.All(events[..3], e => Assert.Equal("""data: {"choices":[{"index":0,"text":"a"}]}""", e));
        var error = JsonNode.Parse(events[3]["data: ".Length..])!["error"]!;
        Assert.Equal("server_error", (string?)error["type"]);
        Assert.Equal("data: [DONE]", events[4]);
        await gateway.Log.EventAsync("StreamNotContinued", ("Endpoint", "stub"));
        // The worker that has just ended may be tried once more, which is a failed connection and a further retry.
        Assert.InRange(await gateway.MetricAsync("sluice_request_retries_total", "endpoint=\"stub\""), 1, 2);
    }

    [Fact]
    public async Task The_stream_of_a_worker_without_marks_is_aborted()
    {
        await using var gateway = await InProcessGateway.StartAsync(Jobs.Manifest("/dev/null", max: 2));
        using var response = await gateway.Client.SendAsync(
            new HttpRequestMessage(HttpMethod.Post, "/v1/completions")
            {
                Content = JsonContent.Create(new { model = "stub", @do = "plain" }),
            },
            HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        await Assert.ThrowsAnyAsync<Exception>(() => response.Content.ReadAsStringAsync());
        Assert.Equal(0, await gateway.MetricAsync("sluice_request_retries_total", "endpoint=\"stub\""));
    }

    [Fact]
    public async Task A_whole_response_that_lost_its_worker_is_generated_again()
    {
        await using var gateway = await InProcessGateway.StartAsync(Jobs.Manifest("/dev/null", max: 2));
        var file = Path.Combine(gateway.Folder, "attempts");
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions")
        {
            Content = JsonContent.Create(new { model = "stub", @do = "whole", file }),
        };
        // A client cannot continue a stream of another client.
        request.Headers.Add("X-Sluice-Resume", "forged");
        using var response = await gateway.Client.SendAsync(request);
        Assert.Equal("""{"choices":[]}""", await response.Content.ReadAsStringAsync());
        Assert.Equal(["1", "1"], await File.ReadAllLinesAsync(file));
    }

    [Fact]
    public async Task A_client_that_leaves_stops_the_worker_that_continues_its_stream()
    {
        await using var gateway = await StartAsync();
        using var stop = new CancellationTokenSource();
        var received = 0;
        var request = Request(0);
        // So many tokens that the text is not complete when the client leaves.
        (request["n"], request["max_tokens"]) = (16, 400);
        var stream = TextClient.SendAsync(gateway.Client, request, async worker =>
        {
            if (++received != 20) return;
            await KillAsync(gateway, worker);
            await gateway.Log.EventAsync("WorkerLostInStream");
            await Eventually.HoldsAsync(async () => await WorkersAsync("sluice_generation_running") > 0,
                "the second worker generates");
            await stop.CancelAsync();
        }, stop.Token);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => stream);
        await Eventually.HoldsAsync(async () => await WorkersAsync("sluice_generation_abandoned_total") > 0,
            "the second worker has stopped the text");

        Task<double> WorkersAsync(string name) => gateway.MetricAsync(name, path: "/metrics/workers");
    }

    private static Task<InProcessGateway> StartAsync() => InProcessGateway.StartAsync(
        """
        templates:
          - name: onnx-cpu
            concurrency: 16
        endpoints:
          - { id: story, template: onnx-cpu, scaling: { min: 2, max: 3, idleTimeout: 600s } }

        """, InProcessGateway.WithWorker());

    private static JsonObject Request(int i) => new()
    {
        ["model"] = "story",
        ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = $"Write story {i}." }),
        ["stream"] = true,
        ["stream_options"] = new JsonObject { ["include_usage"] = true },
        // Every other text is sampled.
        ["temperature"] = i % 2,
        ["seed"] = i,
        ["max_tokens"] = 200,
        ["ignore_eos"] = true,
    };

    /// <summary>Kills a worker; without an id, the one that has run for the longest time.</summary>
    private static async Task KillAsync(InProcessGateway gateway, string? id = null)
    {
        var workers = await gateway.WorkersAsync("story", "ready");
        var killed = workers.Where(w => id is null || (string)w["id"]! == id).MinBy(w => (string)w["startedAt"]!)!;
        ChildProcess.Signal((int)killed["processId"]!, Sigkill);
    }
}
