using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>Faults of Redis and of the way to it: rows R of the fault matrix.</summary>
[Trait("Matrix", "fault")]
[Trait("Part", "leases")]
public sealed class JobRedisFaultsTest : IAsyncLifetime
{
    private readonly JobCluster cluster = new();

    public ValueTask InitializeAsync() => cluster.Redis.InitializeAsync();

    public async ValueTask DisposeAsync()
    {
        await cluster.DisposeAsync();
    }

    [Trait("Fault", "R1")]
    [Fact]
    public async Task A_killed_redis_loses_no_accepted_job()
    {
        await using var gateway = await cluster.StartAsync();
        var jobs = new Jobs(gateway);
        await jobs.RunSyncAsync(1);
        var (count, kills) = (FaultMatrix.Count(some: 1500, whole: 50_000), FaultMatrix.Count(some: 1, whole: 5));
        var (ledger, refused, accepted) = (new ConcurrentBag<string>(), 0, new TaskCompletionSource());
        var load = Parallel.ForEachAsync(Enumerable.Range(0, count), new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (_, ct) =>
        {
            while (true)
            {
                using var answer = await jobs.PostAsync("run", Jobs.Body(1));
                if (answer.IsSuccessStatusCode)
                {
                    ledger.Add((string)JsonNode.Parse(await answer.Content.ReadAsStringAsync(ct))!["id"]!);
                    Volatile.Read(ref accepted).TrySetResult();
                    return;
                }

                Assert.Equal(503, (int)answer.StatusCode);
                Assert.NotNull(answer.Headers.RetryAfter);
                Interlocked.Increment(ref refused);
                await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, ct);
            }
        });
        var back = new List<double>();
        for (var kill = 1; kill <= kills; kill++)
        {
            await Eventually.HoldsAsync(() => ledger.Count > kill * count / (kills + 2));
            await cluster.Redis.KillAsync();
            await cluster.Redis.StartAsync();
            var since = Stopwatch.GetTimestamp();
            await (accepted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task.WaitAsync(ChildProcess.Patience, TimeProvider.System);
            back.Add(Stopwatch.GetElapsedTime(since).TotalSeconds);
        }

        await load;
        await Parallel.ForEachAsync(ledger, async (id, _) => Assert.Equal("COMPLETED", (string?)(await jobs.EndAsync(id))["status"]));
        Assert.Equal(count, ledger.Distinct().Count());
        await jobs.QuietAsync();
        FaultMatrix.Seen("R1", $"{kills} kills, {count} of {count} accepted jobs COMPLETED ({refused} submissions told 503); ",
            $"accepted again {back.Max():0.00} s after Redis' port was open, at most");
    }

    [Trait("Fault", "R3")]
    [Trait("Fault", "R4")]
    [Fact]
    public async Task A_redis_that_stood_still_makes_no_job_run_twice()
    {
        await using var gateway = await cluster.StartAsync();
        var jobs = new Jobs(gateway);
        await jobs.RunSyncAsync(1);
        // Longer than a lease; and in the whole matrix as long as one, and a minute.
        foreach (var (row, seconds) in FaultMatrix.Whole ? [("R3", 10), ("R4", 60)] : new[] { ("R4", 12) })
        {
            var sleep = new JsonObject { ["do"] = "sleep", ["ms"] = (seconds * 1000) + 4000 }.ToJsonString();
            var ids = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => jobs.RunAsync(JsonNode.Parse(sleep)!)));
            await Eventually.HoldsAsync(() => ids.All(i => StubLog.Lines(cluster.Log).Any(l => l == $"begin {i} 1")));
            cluster.Redis.Signal(JobFaultsTest.Sigstop);
            await Task.Delay(TimeSpan.FromSeconds(seconds), TimeProvider.System);
            cluster.Redis.Signal(JobFaultsTest.Sigcont);
            foreach (var id in ids)
            {
                var job = await jobs.EndAsync(id);
                // The field attempts says why an attempt was lost.
                Assert.True((string?)job["status"] == "COMPLETED" && (int)job["retries"]! == 0, job.ToJsonString());
            }

            var second = StubLog.Lines(cluster.Log).Count(l => l.StartsWith("begin ", StringComparison.Ordinal) && l.EndsWith(" 2", StringComparison.Ordinal));
            Assert.Equal(0, second);
            await jobs.QuietAsync();
            FaultMatrix.Seen(row, $"{seconds} s under {ids.Length} running jobs: all COMPLETED, {second} second attempts");
        }
    }

    [Trait("Fault", "R13")]
    [Fact]
    public async Task A_redis_that_loads_its_data_for_a_while_refuses_jobs_and_loses_none()
    {
        await using var gateway = await cluster.StartAsync();
        var jobs = new Jobs(gateway);
        await jobs.RunSyncAsync(1);
        // In the whole matrix the loading takes longer than a lease.
        var atLeast = TimeSpan.FromSeconds(FaultMatrix.Count(some: 0, whole: 16));
        const int keys = 100_000;
        await cluster.Redis.Store.Database.ScriptEvaluateAsync(
            "for i = 1, tonumber(ARGV[1]) do redis.call('SET', 'other:' .. i, i) end", values: [keys]);
        var ids = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ =>
            jobs.RunAsync(JsonNode.Parse("""{"do":"sleep","ms":1000}""")!)));
        await Eventually.HoldsAsync(() =>
            StubLog.Lines(cluster.Log).Count(l => ids.Any(i => l == $"begin {i} 1")) == 8);
        await cluster.Redis.KillAsync();
        var loaded = await cluster.Redis.StartLoadingAsync(TimeSpan.FromMicroseconds(500));
        var since = Stopwatch.GetTimestamp();
        var (refused, texts) = (0, new HashSet<string>());
        while (!texts.Any(t => t.Contains("Redis is loading its data.")) || Stopwatch.GetElapsedTime(since) < atLeast)
        {
            using var submitted = await jobs.PostAsync("run", Jobs.Body(1));
            using var ready = await gateway.Client.GetAsync(new Uri("/readyz", UriKind.Relative));
            Assert.False(gateway.Process.HasExited, gateway.Process.Output);
            texts.Add(await submitted.Content.ReadAsStringAsync());
            texts.Add(await ready.Content.ReadAsStringAsync());
            Assert.False(loaded.IsCompleted, string.Join('\n', texts));
            Assert.Equal(503, (int)submitted.StatusCode);
            Assert.Equal(503, (int)ready.StatusCode);
            refused++;
        }

        await cluster.Redis.LoadRestAsync();
        await loaded;
        var seconds = Stopwatch.GetElapsedTime(since).TotalSeconds;
        foreach (var id in ids) Assert.Equal("COMPLETED", (string?)(await jobs.EndAsync(id))["status"]);
        await jobs.QuietAsync();
        FaultMatrix.Seen("R13", $"{seconds:0.0} s of loading: {refused} submissions told 503; ",
            $"{ids.Length} of {ids.Length} jobs COMPLETED");
    }

    [Trait("Fault", "R5")]
    [Fact]
    public async Task A_full_redis_refuses_jobs_and_lets_those_end_that_it_has()
    {
        await using var gateway = await cluster.StartAsync();
        var jobs = new Jobs(gateway);
        await jobs.RunSyncAsync(1);
        var ids = await Task.WhenAll(Enumerable.Range(0, 7).Select(_ => jobs.RunAsync(JsonNode.Parse("""{"do":"sleep","ms":1500}""")!)));
        var streams = await jobs.RunAsync(JsonNode.Parse("""{"do":"stream","chunks":100000,"ms":10}""")!, "\"policy\":{\"executionTimeout\":3000}");
        foreach (var id in ids.Append(streams)) await jobs.StatusAsync(id, "IN_PROGRESS");
        var waits = await jobs.RunAsync(1);
        var db = cluster.Redis.Store.Database;
        await db.ExecuteAsync("CONFIG", "SET", "maxmemory", "1mb");
        using (var cancel = await jobs.PostAsync($"cancel/{waits}"))
            Assert.Contains("CANCELLED", await cancel.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        using (var refused = await jobs.PostAsync("run", """{"input":1}"""))
        {
            Assert.Equal(503, (int)refused.StatusCode);
            Assert.NotNull(refused.Headers.RetryAfter);
        }

        // A large input is a file; refused, it leaves none.
        using (var refused = await jobs.PostAsync("run", Jobs.Body(new string('x', 300_000)))) Assert.Equal(503, (int)refused.StatusCode);
        Assert.Single(Directory.EnumerateFiles(cluster.Payloads, "*", SearchOption.AllDirectories));
        foreach (var id in ids) Assert.Equal("COMPLETED", (string?)(await jobs.EndAsync(id))["status"]);
        // Its chunks are stored still; its time limit ends it.
        Assert.Equal("TIMED_OUT", (string?)(await jobs.EndAsync(streams))["status"]);
        await db.ExecuteAsync("CONFIG", "SET", "maxmemory", "0");
        // The gateway asks once a second how full Redis is.
        await Eventually.HoldsAsync(async () =>
        {
            using var answer = await jobs.PostAsync("run", Jobs.Body(1));
            return answer.IsSuccessStatusCode;
        });
        Assert.Equal("COMPLETED", (string?)(await jobs.RunSyncAsync(1))["status"]);
        await jobs.QuietAsync();
        FaultMatrix.Seen("R5", $"a submission: 503 with Retry-After; {ids.Length} of {ids.Length} running jobs COMPLETED, ",
            $"a streaming one TIMED_OUT when its time was up, a waiting one cancelled; 0 stuck");
    }

    [Trait("Fault", "R7")]
    [Fact]
    public async Task A_link_to_redis_that_swallows_everything_is_told_and_comes_back()
    {
        using var proxy = new FaultProxy(cluster.Redis.Port);
        await using var gateway = await cluster.StartAsync(port: proxy.Port);
        var jobs = new Jobs(gateway);
        var known = new HashSet<string> { (string)(await jobs.RunSyncAsync(1))["id"]! };
        var (told, back) = (new List<double>(), new List<double>());
        for (var round = 0; round < FaultMatrix.Count(some: 2, whole: 10); round++)
        {
            var ids = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => jobs.RunAsync(JsonNode.Parse("""{"do":"sleep","ms":1000}""")!)));
            known.UnionWith(ids);
            proxy.BlackHole();
            var since = Stopwatch.GetTimestamp();
            using (var refused = await jobs.PostAsync("run", Jobs.Body(1))) Assert.Equal(503, (int)refused.StatusCode);
            told.Add(Stopwatch.GetElapsedTime(since).TotalSeconds);
            // By turns: the connections that were cut off are dead, or what was held back arrives after all.
            if (round % 2 == 0) proxy.HealWithReset();
            else proxy.Heal();
            since = Stopwatch.GetTimestamp();
            await Eventually.HoldsAsync(async () =>
            {
                using var answer = await jobs.PostAsync("run", Jobs.Body(1));
                if (answer.IsSuccessStatusCode) known.Add((string)JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["id"]!);
                return answer.IsSuccessStatusCode;
            });
            back.Add(Stopwatch.GetElapsedTime(since).TotalSeconds);
            foreach (var id in ids) Assert.Equal("COMPLETED", (string?)(await jobs.EndAsync(id))["status"]);
            await jobs.QuietAsync();
            foreach (var id in ids) Assert.Single(StubLog.Lines(cluster.Log), l => l.StartsWith($"end {id} ", StringComparison.Ordinal));
        }

        // What was told 503 may have been stored: then it was behind what ran, and cancelled before it could.
        var others = (await jobs.GetAsync("requests?limit=1000"))["requests"]!.AsArray().Where(j => !known.Contains((string)j!["id"]!)).ToList();
        Assert.All(others, j => Assert.Equal("CANCELLED", (string?)j!["status"]));
        Assert.NotEmpty(others);
        FaultMatrix.Seen("R7", $"{told.Count} times: a submission told 503 after {told.Max():0.0} s at most, accepted again {back.Max():0.0} s ",
            $"after the link was healed at most; running jobs ended once each; of those told 503 {others.Count} were stored all the same, and cancelled");
    }

    [Trait("Fault", "R9")]
    [Fact]
    public async Task Jobs_whose_acceptance_was_lost_on_the_way_are_there_once_when_submitted_again()
    {
        using var proxy = new FaultProxy(cluster.Redis.Port);
        await using var gateway = await cluster.StartAsync(port: proxy.Port);
        var jobs = new Jobs(gateway);
        await jobs.RunSyncAsync(1);
        var (ids, lost, each) = (new HashSet<string>(), 0, FaultMatrix.Count(some: 20, whole: 100));
        for (var round = 0; round < FaultMatrix.Count(some: 1, whole: 10); round++)
        {
            var before = lost;
            proxy.LoseAnswers();
            var answers = Enumerable.Range(0, each).Select(n => SubmitAsync($"{round}-{n}")).ToList();
            // Healed when the first one was told that its outcome is not known.
            await Eventually.HoldsAsync(() => Volatile.Read(ref lost) > before);
            proxy.HealWithReset();
            ids.UnionWith(await Task.WhenAll(answers));
        }

        foreach (var id in ids) Assert.Equal("COMPLETED", (string?)(await jobs.EndAsync(id))["status"]);
        await jobs.QuietAsync();
        Assert.Equal(ids.Count + 1, (int)(await jobs.GetAsync("health"))["jobs"]!["completed"]!);
        foreach (var id in ids) Assert.Single(StubLog.Lines(cluster.Log), l => l.StartsWith($"end {id} ", StringComparison.Ordinal));
        FaultMatrix.Seen("R9", $"{lost} submissions whose answer was lost, again until accepted: {ids.Count} jobs for {ids.Count} keys, each ran once");

        async Task<string> SubmitAsync(string key)
        {
            while (true)
            {
                using var request = new HttpRequestMessage(HttpMethod.Post, "/v2/stub/run") { Content = new StringContent(Jobs.Body(1)) };
                request.Headers.Add("Idempotency-Key", key);
                using var answer = await gateway.Client.SendAsync(request);
                if (answer.IsSuccessStatusCode) return (string)JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["id"]!;
                Assert.Equal(503, (int)answer.StatusCode);
                Interlocked.Increment(ref lost);
                await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System);
            }
        }
    }

    [Fact]
    public async Task A_job_whose_gateway_stops_while_redis_is_away_is_run_by_another_one()
    {
        await using var a = await cluster.StartAsync(more: new() { ["SLUICE_DRAIN_SECONDS"] = "1" });
        var id = await new Jobs(a).RunAsync(JsonNode.Parse("""{"do":"sleep","ms":3000}""")!);
        await Eventually.HoldsAsync(() => StubLog.Lines(cluster.Log).Any(l => l == $"begin {id} 1"));
        await cluster.Redis.KillAsync();
        a.Process.Signal(ChildProcess.Sigterm);
        await a.EventAsync(e => e.Name is "OutcomeStoreRetried" or "JobRunFailed", "OutcomeStoreRetried");
        await cluster.Redis.StartAsync();
        await a.Process.ExitAsync();
        await using var b = await cluster.StartAsync();
        Assert.Equal("COMPLETED", (string?)(await new Jobs(b).EndAsync(id))["status"]);
        await new Jobs(b).QuietAsync();
    }
}
