using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>Faults of workers: rows W of the fault matrix. After each the invariant checker must find nothing.</summary>
[Trait("Matrix", "fault")]
public sealed class JobFaultsTest : IDisposable
{
    private readonly string log = Path.GetTempFileName();

    public void Dispose() => StubLog.Delete(log);

    [Trait("Fault", "W2")]
    [Fact]
    public async Task Jobs_whose_worker_is_killed_run_again_and_all_complete()
    {
        await using var gateway = await GatewayProcess.StartAsync(Jobs.Manifest(log, max: 3, more: "jobs: { maxRuns: 20 }"));
        var jobs = new Jobs(gateway);
        var (count, kills) = (FaultMatrix.Count(some: 200, whole: 5000), FaultMatrix.Count(some: 3, whole: 200));
        // Long enough for all the kills: each needs a new worker. Jobs that lost a worker run one at a time on a worker.
        var input = $$"""{"do":"sleep","ms":{{FaultMatrix.Count(some: 60, whole: 600)}}}""";
        var ids = await Task.WhenAll(Enumerable.Range(0, count).Select(_ => jobs.RunAsync(JsonNode.Parse(input)!)));
        var (killed, random) = (new Dictionary<string, DateTimeOffset>(), new Random(1));
        while (killed.Count < kills)
        {
            var begun = Lines("begin ").Count;
            await Eventually.HoldsAsync(() => Lines("begin ").Count > begun + 5);
            var ready = await gateway.WorkersAsync("stub", "ready");
            // Any of them: those that came back first would have the jobs that lost a worker before, and lose them again.
            if (ready.Where(w => !killed.ContainsKey((string)w["id"]!)).OrderBy(_ => random.Next()).FirstOrDefault() is not { } victim) continue;
            killed[(string)victim["id"]!] = TimeProvider.System.GetUtcNow();
            ChildProcess.Signal((int)victim["processId"]!, ChildProcess.Sigkill);
        }

        var ended = new ConcurrentBag<JsonObject>();
        await Parallel.ForEachAsync(ids, new ParallelOptions { MaxDegreeOfParallelism = 16 }, async (id, _) => ended.Add(await jobs.EndAsync(id)));
        Assert.All(ended, j => Assert.True((string?)j["status"] == "COMPLETED", j.ToJsonString()));
        // Not 'retries': those are runs that count, and the first loss beside other jobs does not count.
        Assert.Contains(ended, j => j["attempts"] is JsonArray { Count: > 0 });
        await jobs.QuietAsync();
        // A worker may die between its last step and its answer: then the job is executed once more, and one result counts.
        var ends = Lines("end ").CountBy(l => l.Split(' ')[1]).ToDictionary();
        foreach (var job in ended) Assert.InRange(ends.GetValueOrDefault((string)job["id"]!), 1, 1 + (job["attempts"]?.AsArray().Count ?? 0));
        var recoveries = ended.SelectMany(j => Recoveries(j, killed)).ToList();
        FaultMatrix.Seen("W2", $"{kills} kills, {count} of {count} COMPLETED; ",
            $"{recoveries.Count} attempts lost, from the kill to the next one {FaultMatrix.Spread(recoveries)}");
    }

    [Trait("Fault", "W3")]
    [Fact]
    public async Task A_job_whose_last_attempt_is_killed_fails_and_its_webhook_says_so()
    {
        using var receiver = new WebhookReceiver();
        await using var gateway = await GatewayProcess.StartAsync(Jobs.Manifest(log, max: 2, concurrency: 1, more: "jobs: { maxRuns: 1 }"),
            environment: new Dictionary<string, string?> { ["SLUICE_WEBHOOK_ALLOW"] = "127.0.0.0/8" });
        var jobs = new Jobs(gateway);
        var count = FaultMatrix.Count(some: 3, whole: 100);
        var ids = await Task.WhenAll(Enumerable.Range(0, count).Select(_ => jobs.RunAsync(JsonNode.Parse("""{"do":"die"}""")!, $"\"webhook\":\"{receiver.Url}/ok\"")));
        foreach (var id in ids)
        {
            var job = await jobs.EndAsync(id);
            Assert.Equal(("FAILED", "ATTEMPTS_EXHAUSTED"), ((string?)job["status"], (string?)job["errorInfo"]!["code"]));
            Assert.Single(Lines($"begin {id} "));
        }

        var told = new HashSet<string>();
        while (told.Count < count)
        {
            var body = JsonNode.Parse((await receiver.NextAsync("/ok")).Body)!;
            Assert.Equal("FAILED", (string?)body["status"]);
            told.Add((string)body["id"]!);
        }

        Assert.Equal(ids.Order(), told.Order());
        await jobs.QuietAsync();
        FaultMatrix.Seen("W3", $"{count} of {count} FAILED as ATTEMPTS_EXHAUSTED after one run, {told.Count} told by webhook");
    }

    [Trait("Fault", "W12")]
    [Fact]
    public async Task A_job_that_kills_every_worker_becomes_a_dead_letter_and_others_go_on()
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
        FaultMatrix.Seen("W12", $"a dead letter after 2 kills; {others.Length} of {others.Length} others COMPLETED; retried, purged");
    }

    [Trait("Fault", "W12")]
    [Fact]
    public async Task Who_shares_workers_with_poison_waits_little_longer()
    {
        await using var gateway = await GatewayProcess.StartAsync(Jobs.Manifest(log, max: 3, concurrency: 4, more: "jobs: { maxRuns: 2 }", scaling: ", min: 3"));
        var jobs = new Jobs(gateway);
        var count = FaultMatrix.Count(some: 100, whole: 1000);
        await Eventually.HoldsAsync(async () => (await gateway.WorkersAsync("stub", "ready")).Count == 3);
        var without = await PacedAsync(poison: false);
        var with = await PacedAsync(poison: true);
        await jobs.QuietAsync();
        FaultMatrix.Seen("W12", $"{count} jobs, one in 100 poison: the others' p95 {with:0} ms, without poison {without:0} ms: {with / without:0.00} times");

        // Twenty a second, whatever becomes of them; the p95 of the others from submission to end, ms.
        async Task<double> PacedAsync(bool poison)
        {
            using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(50), TimeProvider.System);
            var (bad, good) = (new List<string>(), new List<string>());
            for (var n = 0; n < count; n++)
            {
                await pace.WaitForNextTickAsync();
                if (poison && n % 100 == 50) bad.Add(await jobs.RunAsync(JsonNode.Parse("""{"do":"die"}""")!));
                else good.Add(await jobs.RunAsync(JsonNode.Parse("""{"do":"sleep","ms":20}""")!));
            }

            foreach (var id in bad) Assert.Equal("ATTEMPTS_EXHAUSTED", (string?)(await jobs.EndAsync(id))["errorInfo"]!["code"]);
            var took = new List<double>();
            foreach (var id in good)
            {
                var job = await jobs.EndAsync(id);
                Assert.Equal("COMPLETED", (string?)job["status"]);
                took.Add((double)job["timings"]!["totalMs"]!);
            }

            return FaultMatrix.At([.. took.Order()], 0.95);
        }
    }

    [Trait("Fault", "W4")]
    [Fact]
    public async Task A_worker_that_hangs_is_killed_and_its_job_times_out()
    {
        await using var gateway = await GatewayProcess.StartAsync(Jobs.Manifest(log, concurrency: 1));
        var jobs = new Jobs(gateway);
        var took = new List<double>();
        for (var n = 0; n < FaultMatrix.Count(some: 1, whole: 10); n++)
        {
            await jobs.RunSyncAsync(1);
            var victim = (int)Assert.Single(await gateway.WorkersAsync("stub", "ready"))["processId"]!;
            ChildProcess.Signal(victim, Sigstop);
            var started = Stopwatch.GetTimestamp();
            var job = await jobs.EndAsync(await jobs.RunAsync(1, "\"policy\":{\"executionTimeout\":1000}"));
            Assert.Equal("TIMED_OUT", (string?)job["status"]);
            await ChildProcess.GoneAsync(victim);
            took.Add(Stopwatch.GetElapsedTime(started).TotalSeconds - 1);
            Assert.Equal("COMPLETED", (string?)(await jobs.RunSyncAsync(1))["status"]);
        }

        await jobs.QuietAsync();
        FaultMatrix.Seen("W4", $"{took.Count} times TIMED_OUT, the worker gone {took.Max():0.0} s after the limit at most, the next one answers");
    }

    [Trait("Fault", "W7")]
    [Fact]
    public async Task A_stream_that_broke_off_goes_on_without_gap_or_repeat_and_one_that_differs_fails()
    {
        await using var gateway = await GatewayProcess.StartAsync(Jobs.Manifest(log));
        var jobs = new Jobs(gateway);
        var cut = await jobs.RunAsync(JsonNode.Parse("""{"do":"cut","chunks":30,"ms":20}""")!);
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/v2/stub/stream/{cut}");
        request.Headers.Add("Accept", "text/event-stream");
        using var answer = await gateway.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        var events = await Events.ReadAsync(await answer.Content.ReadAsStreamAsync());
        Assert.Equal(Enumerable.Range(0, 30).Select(n => $"{n}||{{\"n\":{n}}}"), events.SkipLast(1));
        Assert.Equal(1, (int)(await jobs.EndAsync(cut))["retries"]!);

        var diverging = await jobs.EndAsync(await jobs.RunAsync(JsonNode.Parse("""{"do":"diverge","chunks":10,"ms":20}""")!));
        Assert.Equal("FAILED", (string?)diverging["status"]);
        Assert.Equal("STREAM_DIVERGED", (string?)diverging["errorInfo"]!["code"]);
        await jobs.QuietAsync();
        FaultMatrix.Seen("W7", $"a job's stream of 30 chunks over a kill: no gap, no repeat; one that differs: STREAM_DIVERGED");
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
        await Eventually.HoldsAsync(() => Directory.EnumerateFiles(Path.Combine(gateway.Folder, "data", "payloads"), "*", SearchOption.AllDirectories).Count() == 1);
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
        await Eventually.HoldsAsync(() => Lines("begin ").Count == 1);
        var manifest = await File.ReadAllTextAsync(gateway.ManifestPath);
        await File.WriteAllTextAsync(gateway.ManifestPath, manifest.Replace("STUB_LOG:", "ANOTHER: declaration, STUB_LOG:", StringComparison.Ordinal));
        await Eventually.HoldsAsync(async () => (await gateway.WorkersAsync("stub", "draining")).Count > 0);

        var job = await jobs.EndAsync(id);
        Assert.True((string?)job["status"] == "COMPLETED" && (int)job["retries"]! == 0, $"{job}\n{gateway.Process.Output}");
        Assert.Single(Lines("begin "));
        await jobs.QuietAsync();
    }

    internal const int Sigstop = 19;
    internal const int Sigcont = 18;

    /// <summary>From the kill of their worker to the next attempt, s, of those attempts of a job that fell to one.</summary>
    private static IEnumerable<double> Recoveries(JsonObject job, Dictionary<string, DateTimeOffset> killed)
    {
        if (job["attempts"] is not JsonArray lost) yield break;
        for (var n = 0; n < lost.Count; n++)
        {
            if (!killed.TryGetValue((string)lost[n]!["worker"]!, out var at) || lost[n]!["endedAt"]!.GetValue<DateTimeOffset>() < at) continue;
            var next = (n + 1 < lost.Count ? lost[n + 1]! : job["timings"]!)["startedAt"]!.GetValue<DateTimeOffset>();
            yield return Math.Max(0, (next - at).TotalSeconds);
        }
    }

    private List<string> Lines(string start) => [.. StubLog.Lines(log).Where(l => l.StartsWith(start, StringComparison.Ordinal))];
}
