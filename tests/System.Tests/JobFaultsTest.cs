using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>Faults of workers: rows W of the fault matrix. After each the invariant checker must find nothing.</summary>
public sealed class JobFaultsTest : IDisposable
{
    private readonly string log = Path.GetTempFileName();

    public void Dispose() => StubLog.Delete(log);

    [Fact]
    public async Task W2_jobs_whose_worker_is_killed_run_again_and_all_complete()
    {
        await using var gateway = await GatewayProcess.StartAsync(Jobs.Manifest(log, max: 2, more: "jobs: { maxRuns: 4 }"));
        var jobs = new Jobs(gateway);
        var ids = await Task.WhenAll(Enumerable.Range(0, 200).Select(_ => jobs.RunAsync(JsonNode.Parse("""{"do":"sleep","ms":40}""")!)));
        for (var kill = 0; kill < 3; kill++)
        {
            var begun = Lines("begin ").Count;
            await UntilAsync(() => Lines("begin ").Count > begun + 10);
            var ready = await gateway.WorkersAsync("stub", "ready");
            if (ready.Count == 0) break;
            ChildProcess.Signal((int)ready[0]["processId"]!, ChildProcess.Sigkill);
        }

        var ended = await Task.WhenAll(ids.Select(jobs.EndAsync));
        Assert.All(ended, j => Assert.Equal("COMPLETED", (string?)j["status"]));
        Assert.Contains(ended, j => (int)j["retries"]! > 0);
        Assert.Contains(ended, j => j["attempts"] is JsonArray { Count: > 0 });
        await jobs.QuietAsync();
        // A worker may die between its last step and its answer: then the job is executed once more, and one result counts.
        foreach (var job in ended) Assert.InRange(Lines($"end {(string)job["id"]!} ").Count, 1, 1 + (int)job["retries"]!);
    }

    [Fact]
    public async Task W3_W12_a_job_that_kills_every_worker_becomes_a_dead_letter_and_others_go_on()
    {
        await using var gateway = await GatewayProcess.StartAsync(Jobs.Manifest(log, max: 2, concurrency: 1, more: "jobs: { maxRuns: 2 }"));
        var jobs = new Jobs(gateway);
        var poison = await jobs.RunAsync(JsonNode.Parse("""{"do":"die"}""")!);
        var others = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => jobs.RunAsync(1)));

        var dead = await jobs.EndAsync(poison);
        Assert.Equal("FAILED", (string?)dead["status"]);
        Assert.Equal("ATTEMPTS_EXHAUSTED", (string?)dead["errorInfo"]!["code"]);
        Assert.Equal(2, dead["attempts"]!.AsArray().Count);
        Assert.All([1, 2], n => Assert.Single(Lines($"begin {poison} {n}")));
        foreach (var other in others) Assert.Equal("COMPLETED", (string?)(await jobs.EndAsync(other))["status"]);
        var letters = (await jobs.GetAsync("dead-letters"))["requests"]!.AsArray();
        Assert.Equal(poison, (string?)Assert.Single(letters)!["id"]);
        using var retried = await jobs.PostAsync($"retry/{poison}");
        Assert.Equal(HttpStatusCode.OK, retried.StatusCode);
        await jobs.EndAsync(poison);
        using var purge = await gateway.Client.DeleteAsync(new Uri("/v2/stub/dead-letters", UriKind.Relative));
        Assert.Equal(1, (int)JsonNode.Parse(await purge.Content.ReadAsStringAsync())!["removed"]!);
        await jobs.QuietAsync();
    }

    [Fact]
    public async Task W4_a_worker_that_hangs_is_killed_and_its_job_times_out()
    {
        await using var gateway = await GatewayProcess.StartAsync(Jobs.Manifest(log, concurrency: 1));
        var jobs = new Jobs(gateway);
        await jobs.RunSyncAsync(1);
        var victim = (int)(await gateway.WorkersAsync("stub", "ready"))[0]["processId"]!;
        ChildProcess.Signal(victim, Sigstop);
        var id = await jobs.RunAsync(1, "\"policy\":{\"executionTimeout\":1000}");
        var started = Stopwatch.GetTimestamp();
        var job = await jobs.EndAsync(id);
        Assert.Equal("TIMED_OUT", (string?)job["status"]);
        await ChildProcess.GoneAsync(victim);
        Told($"W4: killed {Stopwatch.GetElapsedTime(started).TotalSeconds:0.0} s after the job began, its limit was 1 s");
        Assert.Equal("COMPLETED", (string?)(await jobs.RunSyncAsync(1))["status"]);
        await jobs.QuietAsync();
    }

    [Fact]
    public async Task W7_a_stream_that_broke_off_goes_on_without_gap_or_repeat_and_one_that_differs_fails()
    {
        await using var gateway = await GatewayProcess.StartAsync(Jobs.Manifest(log));
        var jobs = new Jobs(gateway);
        var cut = await jobs.RunAsync(JsonNode.Parse("""{"do":"cut","chunks":30,"ms":20}""")!);
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/v2/stub/stream/{cut}");
        request.Headers.Add("Accept", "text/event-stream");
        using var answer = await gateway.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        var events = await Events.ReadAsync(await answer.Content.ReadAsStreamAsync());
        Assert.Equal(Enumerable.Range(0, 30).Select(n => $"{n}|chunk|{{\"n\":{n}}}"), events.SkipLast(1));
        Assert.Equal(1, (int)(await jobs.EndAsync(cut))["retries"]!);

        var diverging = await jobs.EndAsync(await jobs.RunAsync(JsonNode.Parse("""{"do":"diverge","chunks":10,"ms":20}""")!));
        Assert.Equal("FAILED", (string?)diverging["status"]);
        Assert.Equal("STREAM_DIVERGED", (string?)diverging["errorInfo"]!["code"]);
        await jobs.QuietAsync();
    }

    [Fact]
    public async Task A_job_whose_retention_ended_is_gone_with_what_is_known_and_its_files()
    {
        await using var gateway = await GatewayProcess.StartAsync(Jobs.Manifest(log, more: "jobs: { retention: 1s }"));
        var jobs = new Jobs(gateway);
        var id = await jobs.RunAsync(new JsonObject { ["do"] = "echo", ["text"] = new string('x', 1 << 20) });
        await jobs.EndAsync(id);
        HttpResponseMessage answer;
        do answer = await gateway.Client.GetAsync(new Uri($"/v2/stub/status/{id}", UriKind.Relative));
        while (answer.StatusCode == HttpStatusCode.OK);
        Assert.Equal(HttpStatusCode.Gone, answer.StatusCode);
        var gone = JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["job"]!;
        Assert.Equal("COMPLETED", (string?)gone["status"]);
        Assert.True((bool)gone["expired"]!);
        Assert.Null(gone["output"]);
        await UntilAsync(() => Directory.EnumerateFiles(Path.Combine(gateway.Folder, "data", "payloads"), "*", SearchOption.AllDirectories).Count() == 1);
        Assert.Empty((await jobs.GetAsync("requests"))["requests"]!.AsArray());
        await jobs.QuietAsync();
        answer.Dispose();
    }

    [Fact]
    public async Task A_worker_that_is_replaced_is_not_stopped_while_a_job_with_a_longer_limit_than_its_requests_runs_on_it()
    {
        await using var gateway = await GatewayProcess.StartAsync(Jobs.Manifest(log, max: 2, more: "forwarding: { executionTimeout: 1s }"));
        var jobs = new Jobs(gateway);
        var id = await jobs.RunAsync(JsonNode.Parse("""{"do":"sleep","ms":5000}""")!, "\"policy\":{\"executionTimeout\":60000}");
        await UntilAsync(() => Lines("begin ").Count == 1);
        var manifest = await File.ReadAllTextAsync(gateway.ManifestPath);
        await File.WriteAllTextAsync(gateway.ManifestPath, manifest.Replace("STUB_LOG:", "ANOTHER: declaration, STUB_LOG:", StringComparison.Ordinal));
        while ((await gateway.WorkersAsync("stub", "draining")).Count == 0) await Task.Yield();

        var job = await jobs.EndAsync(id);
        Assert.True((string?)job["status"] == "COMPLETED" && (int)job["retries"]! == 0, $"{job}\n{gateway.Process.Output}");
        Assert.Single(Lines("begin "));
        await jobs.QuietAsync();
    }

    [Fact]
    public async Task C1_requests_and_synchronous_jobs_whose_clients_left_while_they_waited_never_run()
    {
        await using var gateway = await GatewayProcess.StartAsync(Jobs.Manifest(log, concurrency: 1));
        var jobs = new Jobs(gateway);
        var busy = await jobs.RunAsync(JsonNode.Parse("""{"do":"sleep","ms":60000}""")!);
        await UntilAsync(() => Lines("begin ").Count == 1);
        using (var leave = new CancellationTokenSource())
        {
            var waiting = Enumerable.Range(0, 200).Select(n => n % 2 == 0
                ? gateway.Client.PostAsync(new Uri("/e/stub/run", UriKind.Relative), new StringContent($$"""{"id":"c1-{{n}}","attempt":1,"input":1}"""), leave.Token)
                : gateway.Client.PostAsync(new Uri("/v2/stub/runsync", UriKind.Relative), new StringContent("""{"input":1}"""), leave.Token)).ToList();
            while ((int)(await gateway.GetAsync("/api/v1/endpoints/stub"))["status"]!["queued"]! < 200) await Task.Yield();
            await leave.CancelAsync();
            foreach (var request in waiting) await Assert.ThrowsAnyAsync<OperationCanceledException>(() => request);
        }

        while ((int)(await gateway.GetAsync("/api/v1/endpoints/stub"))["status"]!["queued"]! > 0) await Task.Yield();
        (await jobs.PostAsync($"cancel/{busy}")).Dispose();
        await jobs.RunSyncAsync(1);
        await jobs.QuietAsync();
        Assert.Equal(2, Lines("begin ").Count);
    }

    [Fact]
    public async Task C7_ten_thousand_queued_jobs_are_cancelled_and_none_runs()
    {
        await using var gateway = await GatewayProcess.StartAsync(Jobs.Manifest(log, scaling: ", min: 0").Replace("max: 1,", "max: 0,", StringComparison.Ordinal));
        var jobs = new Jobs(gateway);
        var ids = new ConcurrentBag<string>();
        await Parallel.ForEachAsync(Enumerable.Range(0, 10_000), new ParallelOptions { MaxDegreeOfParallelism = 64 },
            async (_, _) => ids.Add(await jobs.RunAsync(1)));
        Assert.Equal("PAUSED", (string?)(await jobs.GetAsync($"status/{ids.First()}"))["queue"]!["reason"]);

        var started = Stopwatch.GetTimestamp();
        await Parallel.ForEachAsync(ids.Take(2000), new ParallelOptions { MaxDegreeOfParallelism = 50 },
            async (id, _) => (await jobs.PostAsync($"cancel/{id}")).Dispose());
        var single = Stopwatch.GetElapsedTime(started);
        started = Stopwatch.GetTimestamp();
        using var purge = await jobs.PostAsync("purge-queue");
        Told($"C7: 2,000 cancels, 50 at once: {single.TotalSeconds:0.0} s; purge of 8,000: {Stopwatch.GetElapsedTime(started).TotalSeconds:0.00} s");
        Assert.Equal(8000, (int)JsonNode.Parse(await purge.Content.ReadAsStringAsync())!["removed"]!);
        await jobs.QuietAsync();
        Assert.Equal(10_000, (int)(await jobs.GetAsync("health"))["jobs"]!["cancelled"]!);
        Assert.Empty(Lines("begin "));
    }

    [Fact]
    public async Task C8_a_cancel_that_races_the_end_tells_the_truth_to_both()
    {
        await using var gateway = await GatewayProcess.StartAsync(Jobs.Manifest(log, concurrency: 16));
        var jobs = new Jobs(gateway);
        var (cancelled, completed) = (0, 0);
        await Parallel.ForEachAsync(Enumerable.Range(0, 500), new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (n, ct) =>
        {
            var id = await jobs.RunAsync(JsonNode.Parse($$"""{"do":"sleep","ms":{{n % 4}}}""")!);
            for (var i = 0; i < n % 7; i++) await Task.Yield();
            using var answer = await jobs.PostAsync($"cancel/{id}");
            var told = (string)JsonNode.Parse(await answer.Content.ReadAsStringAsync(ct))!["status"]!;
            var job = await jobs.EndAsync(id);
            Assert.Equal(told, (string?)job["status"]);
            Assert.Equal(told == "COMPLETED", job["output"] is not null);
            _ = told == "COMPLETED" ? Interlocked.Increment(ref completed) : Interlocked.Increment(ref cancelled);
        });
        Told($"C8: {cancelled} cancelled, {completed} completed, 0 contradictions");
        Assert.True(cancelled > 0);
        await jobs.QuietAsync();
    }

    internal const int Sigstop = 19;
    internal const int Sigcont = 18;

    internal static void Told(string figure) => Console.WriteLine(figure);

    internal static async Task UntilAsync(Func<bool> holds)
    {
        using var limit = new CancellationTokenSource(ChildProcess.Patience, TimeProvider.System);
        while (!holds()) await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, limit.Token);
    }

    internal static async Task UntilAsync(Func<Task<bool>> holds)
    {
        using var limit = new CancellationTokenSource(ChildProcess.Patience, TimeProvider.System);
        while (!await holds()) await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, limit.Token);
    }

    private List<string> Lines(string start) => [.. StubLog.Lines(log).Where(l => l.StartsWith(start, StringComparison.Ordinal))];
}
