using System.Collections.Concurrent;
using System.Net;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>What a crowd, a killed worker, a killed Redis and a killed gateway do: nothing that a client must know.</summary>
public sealed class FaultsTest
{
    private static readonly string Digit = GatewayProcess.Example("digits");

    [Fact]
    public async Task Five_hundred_requests_at_once_to_zero_workers_are_all_answered_by_no_more_than_max_workers()
    {
        await using var gateway = await GatewayProcess.StartAsync(Manifests.With(Manifests.Endpoint("digits", max: 2)));

        var answers = await Task.WhenAll(Enumerable.Range(0, 500).Select(_ => AskAsync(gateway)));

        Assert.All(answers, a => Assert.Equal(HttpStatusCode.OK, a.Status));
        var started = gateway.Events.Count(e => e.Is("WorkerStarted"));
        Assert.InRange(started, 1, 2);
        Assert.All(answers, a => Assert.StartsWith("digits-", a.Worker, StringComparison.Ordinal));
        Assert.Equal(0, await gateway.MetricAsync("sluice_request_retries_total"));
        await SlotsExactAsync(gateway, "digits");
    }

    [Fact]
    public async Task A_killed_worker_costs_no_request_whose_answer_had_not_begun()
    {
        await using var gateway = await GatewayProcess.StartAsync(Manifests.With(Manifests.Endpoint("digits", max: 2)));
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(gateway)).Status);
        var victim = (int)(await gateway.WorkersAsync("digits", "ready"))[0]["processId"]!;

        using var stop = new CancellationTokenSource();
        var answers = new ConcurrentBag<(HttpStatusCode Status, string Worker)>();
        var load = Enumerable.Range(0, 16).Select(_ => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested) answers.Add(await AskAsync(gateway));
        })).ToArray();
        var mark = gateway.Process.Mark;
        ChildProcess.Signal(victim, ChildProcess.Sigkill);
        var failed = await gateway.EventAsync(e => e.Is("WorkerFailed", ("Endpoint", "digits"))
            && e["Why"].StartsWith("ended by SIGKILL", StringComparison.Ordinal), "WorkerFailed", mark);
        await gateway.EventAsync("WorkerReady", mark, ("Endpoint", "digits"));
        var before = answers.Count;
        await Eventually.HoldsAsync(() => answers.Count >= before + 50);
        await stop.CancelAsync();
        await Task.WhenAll(load);

        // An infer answer is one write: whoever has its first byte has it all.
        Assert.All(answers, a => Assert.Equal(HttpStatusCode.OK, a.Status));
        Assert.DoesNotContain(await gateway.WorkersAsync("digits", "ready"), w => (int)w["processId"]! == victim);
        Assert.StartsWith("digits-", failed["Worker"], StringComparison.Ordinal);
        await SlotsExactAsync(gateway, "digits");
    }

    [Fact]
    public async Task A_killed_redis_comes_back_and_everything_goes_on_as_before()
    {
        await using var gateway = await GatewayProcess.StartAsync(Manifests.With(Manifests.Endpoint("digits")));
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(gateway)).Status);
        var before = await gateway.WorkersAsync("digits", "ready");
        var redis = Children(gateway.Process.Id).First(p => CommandLine(p).Contains("redis-server", StringComparison.Ordinal));

        var mark = gateway.Process.Mark;
        ChildProcess.Signal(redis, ChildProcess.Sigkill);
        await gateway.EventAsync("RedisExited", mark);
        // Requests go on: at first from slots that the gateway holds, then from the restarted Redis.
        for (var i = 0; i < 20; i++) Assert.Equal(HttpStatusCode.OK, (await AskAsync(gateway)).Status);

        // They may all have been answered before Redis is back.
        await Eventually.HoldsAsync(async () =>
        {
            using var asked = await gateway.Client.GetAsync(new Uri("/api/v1/endpoints/digits/workers", UriKind.Relative));
            return asked.StatusCode == HttpStatusCode.OK;
        });
        var after = await gateway.WorkersAsync("digits", "ready");
        Assert.Equal((string?)Assert.Single(before)["id"], (string?)Assert.Single(after)["id"]);
        Assert.Single((await gateway.GetAsync("/api/v1/keys"))["keys"]!.AsArray());
        await SlotsExactAsync(gateway, "digits");
    }

    [Fact]
    public async Task Control_c_ends_everything_that_was_started()
    {
        // A shell starts background commands with SIGINT ignored, and the gateway would inherit that from the tests.
        await using var gateway = await GatewayProcess.StartAsync(Manifests.With(Manifests.Endpoint("digits")),
            wrapper: ["/usr/bin/env", "--default-signal=INT"]);
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(gateway)).Status);
        var children = Children(gateway.Process.Id);
        Assert.True(children.Count >= 2, "a Redis and a worker");

        gateway.Process.Signal(ChildProcess.Sigint);

        Assert.Equal(0, await gateway.Process.ExitAsync());
        foreach (var child in children) Assert.False(Directory.Exists($"/proc/{child}"), $"{child} is left");
    }

    [Fact]
    public async Task A_killed_gateway_leaves_no_process()
    {
        await using var gateway = await GatewayProcess.StartAsync(Manifests.With(Manifests.Endpoint("digits")));
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(gateway)).Status);
        var children = Children(gateway.Process.Id);
        Assert.True(children.Count >= 2, "a Redis and a worker");

        gateway.Process.Signal(ChildProcess.Sigkill);

        await gateway.Process.ExitAsync();
        foreach (var child in children) await ChildProcess.GoneAsync(child);
    }

    [Fact]
    public async Task Requests_in_flight_finish_when_the_gateway_is_told_to_stop()
    {
        await using var gateway = await GatewayProcess.StartAsync(Manifests.With(Manifests.Endpoint("story")));
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v2/models/story/generate_stream")
        {
            Content = new StringContent("""{"text_input":"a","parameters":{"max_tokens":500,"seed":1,"ignore_eos":true}}"""),
        };
        using var answer = await gateway.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync());
        await reader.ReadLineAsync();
        gateway.Process.Signal(ChildProcess.Sigterm);
        var events = 1;
        var last = "";
        while (await reader.ReadLineAsync() is { } line)
            if (line.StartsWith("data: ", StringComparison.Ordinal)) (events, last) = (events + 1, line);

        Assert.Contains("\"finish_reason\":\"length\"", last, StringComparison.Ordinal);
        Assert.Equal(0, await gateway.Process.ExitAsync());
    }

    [Fact]
    public async Task A_job_event_stream_that_a_shutdown_cuts_is_an_error_to_its_reader()
    {
        var log = Path.GetTempFileName();
        await using var gateway = await GatewayProcess.StartAsync(Jobs.Manifest(log), environment: new Dictionary<string, string?> { ["SLUICE_DRAIN_SECONDS"] = "1" });
        var id = await new Jobs(gateway).RunAsync(JsonNode.Parse("""{"do":"stream","chunks":100000,"ms":10}""")!);
        await using var curl = new ChildProcess("/usr/bin/env", ["curl", "-sSN", "-H", "Accept: text/event-stream", "-H", $"Authorization: Bearer {gateway.Key}",
            $"{gateway.Url}v2/stub/stream/{id}"], new Dictionary<string, string?>());
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/v2/stub/stream/{id}") { Headers = { { "Accept", "text/event-stream" } } };
        using var answer = await gateway.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        var read = answer.Content.ReadAsStringAsync();
        await curl.LineAsync("id: 3");

        gateway.Process.Signal(ChildProcess.Sigterm);

        // 18: transferred a partial file; 56: the connection was reset.
        var code = await curl.ExitAsync();
        Assert.True(code is 18 or 56, $"curl exited with {code}: {curl.Output[^Math.Min(300, curl.Output.Length)..]}");
        Assert.DoesNotContain("done", curl.Output, StringComparison.Ordinal);
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => read);
        Assert.Equal(0, await gateway.Process.ExitAsync());
        StubLog.Delete(log);
    }

    private static async Task<(HttpStatusCode Status, string Worker)> AskAsync(GatewayProcess gateway)
    {
        using var answer = await gateway.Client.PostAsync("/v2/models/digits/infer", new StringContent(Digit));
        await answer.Content.ReadAsByteArrayAsync();
        return (answer.StatusCode, answer.Headers.TryGetValues("X-Sluice-Worker", out var worker) ? worker.First() : await answer.Content.ReadAsStringAsync());
    }

    /// <summary>Waits until every slot of every ready worker is free again; no slot ever exists twice.</summary>
    internal static Task SlotsExactAsync(GatewayProcess gateway, string endpoint, int slots = 8) =>
        Eventually.HoldsAsync(async () =>
        {
            var ready = await gateway.WorkersAsync(endpoint, "ready");
            // A worker that is being removed has no slots any more.
            var counts = ready.Select(w => w["slots"]).ToList();
            Assert.All(counts, s => Assert.InRange(s is null ? 0 : (int)s["free"]! + (int)s["leased"]!, 0, slots));
            return counts.Count > 0 && counts.TrueForAll(s => s is not null && (int)s["free"]! == slots);
        }, $"all {slots} slots of {endpoint} are free");

    private static List<int> Children(int parent) =>
    [
        .. Directory.GetDirectories("/proc").Select(p => int.TryParse(Path.GetFileName(p), out var id) ? id : 0)
            .Where(p => p > 0 && ParentOf(p) == parent),
    ];

    private static int ParentOf(int process)
    {
        try
        {
            return int.Parse(File.ReadAllText($"/proc/{process}/stat").Split(") ")[^1].Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture);
        }
        catch (IOException)
        {
            return 0;
        }
    }

    private static string CommandLine(int process) => File.ReadAllText($"/proc/{process}/cmdline").Replace('\0', ' ');
}
