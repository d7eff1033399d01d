using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Sluice.Core;
using Sluice.Core.Dispatch;
using Sluice.Core.Jobs;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>Faults of gateways and of Redis: rows G, R and C12 of the fault matrix, with two gateways on one Redis.</summary>
public sealed class JobClusterFaultsTest : IAsyncLifetime
{
    private readonly JobCluster cluster = new();

    public Task InitializeAsync() => cluster.Redis.InitializeAsync();

    public async Task DisposeAsync()
    {
        await cluster.DisposeAsync();
    }

    [Fact]
    public async Task G1_a_killed_gateway_loses_no_job()
    {
        await using var a = await cluster.StartAsync();
        await using var b = await cluster.StartAsync();
        var ledger = new ConcurrentBag<string>();
        var jobs = new Jobs(b);
        var submitting = Parallel.ForEachAsync(Enumerable.Range(0, 400), new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (_, _) =>
            ledger.Add(await jobs.RunAsync(JsonNode.Parse("""{"do":"sleep","ms":20}""")!)));
        var at = new Jobs(a);
        for (var i = 0; i < 50; i++) ledger.Add(await at.RunAsync(JsonNode.Parse("""{"do":"sleep","ms":20}""")!));
        await JobFaultsTest.UntilAsync(() => StubLog.Lines(cluster.Log).Count() > 50);
        a.Process.Signal(ChildProcess.Sigkill);
        await submitting;

        foreach (var id in ledger) Assert.Equal("COMPLETED", (string?)(await jobs.EndAsync(id))["status"]);
        await jobs.QuietAsync();
    }

    public static TheoryData<string> CrashPoints => [.. CrashPoint.Names.Where(n => n is not ("after-take" or "after-delivery"))];

    [Theory]
    [MemberData(nameof(CrashPoints))]
    public async Task G2_a_gateway_that_dies_between_two_steps_leaves_nothing_that_is_not_recovered(string point)
    {
        await using var b = await cluster.StartAsync();
        var jobs = new Jobs(b);
        await jobs.RunSyncAsync(1);
        await using var a = await cluster.StartAsync(more: new() { ["SLUICE_CRASH_AT"] = point });
        // The dying one takes the work: the other is stopped until it is dead.
        string? id = null;
        try
        {
            id = await new Jobs(a).RunAsync(JsonNode.Parse("""{"do":"stream","chunks":5}""")!);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            Assert.EndsWith("-submit", point, StringComparison.Ordinal);
        }

        if (!point.EndsWith("-submit", StringComparison.Ordinal))
        {
            // Whoever claims it: the survivor may have been quicker, then it is asked again until the other one was.
            while (!a.Process.HasExited)
            {
                await Task.WhenAny(a.Process.ExitAsync(), new Jobs(b).EndAsync(id!));
                if (a.Process.HasExited) break;
                try
                {
                    id = await new Jobs(a).RunAsync(JsonNode.Parse("""{"do":"stream","chunks":5}""")!);
                }
                catch (Exception e) when (e is HttpRequestException or IOException)
                {
                    break;
                }
            }
        }

        Assert.Equal(128 + ChildProcess.Sigkill, await a.Process.ExitAsync());
        if (id is not null)
        {
            var job = await jobs.EndAsync(id);
            Assert.Equal("COMPLETED", (string?)job["status"]);
            Assert.Equal(5, job["output"]!.AsArray().Count);
        }

        await jobs.QuietAsync();
    }

    [Fact]
    public async Task G3_a_rolling_restart_under_load_fails_no_job()
    {
        var a = await cluster.StartAsync();
        await using var b = await cluster.StartAsync();
        var jobs = new Jobs(b);
        await jobs.RunSyncAsync(1);
        using var stop = new CancellationTokenSource();
        var ledger = new ConcurrentBag<string>();
        var load = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested) ledger.Add(await jobs.RunAsync(JsonNode.Parse("""{"do":"sleep","ms":10}""")!));
        });
        for (var round = 0; round < 2; round++)
        {
            a.Process.Signal(ChildProcess.Sigterm);
            Assert.Equal(0, await a.Process.ExitAsync());
            await a.DisposeAsync();
            a = await cluster.StartAsync();
        }

        await stop.CancelAsync();
        await load;
        foreach (var id in ledger) Assert.Equal("COMPLETED", (string?)(await jobs.EndAsync(id))["status"]);
        await jobs.QuietAsync();
        await a.DisposeAsync();
    }

    [Fact]
    public async Task G3_a_job_that_runs_for_longer_than_a_stopping_gateway_waits_goes_to_another_one_and_it_does_not_count()
    {
        var a = await cluster.StartAsync(more: new() { ["SLUICE_DRAIN_SECONDS"] = "1" });
        var id = await new Jobs(a).RunAsync(JsonNode.Parse("""{"do":"sleep","ms":4000}""")!);
        await JobFaultsTest.UntilAsync(() => StubLog.Lines(cluster.Log).Any(l => l == $"begin {id} 1"));
        await using var b = await cluster.StartAsync();
        a.Process.Signal(ChildProcess.Sigterm);
        Assert.Equal(0, await a.Process.ExitAsync());
        var job = await new Jobs(b).EndAsync(id);
        Assert.Equal("COMPLETED", (string?)job["status"]);
        Assert.Equal(0, (int)job["retries"]!);
        Assert.Contains("the gateway stopped", job["attempts"]!.ToJsonString(), StringComparison.Ordinal);
        await new Jobs(b).QuietAsync();
        await a.DisposeAsync();
    }

    [Fact]
    public async Task A_job_whose_gateway_stops_while_redis_is_away_is_run_by_another_one()
    {
        await using var a = await cluster.StartAsync(more: new() { ["SLUICE_DRAIN_SECONDS"] = "1" });
        var id = await new Jobs(a).RunAsync(JsonNode.Parse("""{"do":"sleep","ms":3000}""")!);
        await JobFaultsTest.UntilAsync(() => StubLog.Lines(cluster.Log).Any(l => l == $"begin {id} 1"));
        await cluster.Redis.KillAsync();
        a.Process.Signal(ChildProcess.Sigterm);
        await JobFaultsTest.UntilAsync(() => a.Process.Output.Contains("cannot be stored now", StringComparison.Ordinal)
            || a.Process.Output.Contains("an error of the gateway itself", StringComparison.Ordinal));
        await cluster.Redis.StartAsync();
        await a.Process.ExitAsync();
        await using var b = await cluster.StartAsync();
        Assert.Equal("COMPLETED", (string?)(await new Jobs(b).EndAsync(id))["status"]);
        await new Jobs(b).QuietAsync();
    }

    [Fact]
    public async Task G4_W5_a_gateway_that_stood_still_is_taken_over_from_and_its_late_result_is_refused()
    {
        await using var a = await cluster.StartAsync();
        var only = new Jobs(a);
        await only.RunSyncAsync(1);
        var id = await only.RunAsync(JsonNode.Parse("""{"do":"sleep","ms":3000}""")!);
        await JobFaultsTest.UntilAsync(() => StubLog.Lines(cluster.Log).Any(l => l == $"begin {id} 1"));
        await using var b = await cluster.StartAsync();
        a.Process.Signal(JobFaultsTest.Sigstop);
        var jobs = new Jobs(b);
        // The lease of the one that stands ends after 10 s, the leader's too; then the other one runs the job again.
        var job = await jobs.EndAsync(id);
        a.Process.Signal(JobFaultsTest.Sigcont);
        Assert.Equal("COMPLETED", (string?)job["status"]);
        Assert.Equal(1, (int)job["retries"]!);
        Assert.Contains("gateway lost", job["attempts"]!.ToJsonString(), StringComparison.Ordinal);
        await JobFaultsTest.UntilAsync(() => a.Process.Output.Contains("is not its present one", StringComparison.Ordinal)
            || a.Process.Output.Contains("was ended by others", StringComparison.Ordinal));
        Assert.Equal(job["timings"]!["endedAt"]!.ToJsonString(), (await jobs.GetAsync($"status/{id}"))["timings"]!["endedAt"]!.ToJsonString());
        await jobs.QuietAsync();
    }

    [Fact]
    public async Task C12_a_stream_goes_on_at_another_gateway_without_gap_or_repeat()
    {
        await using var b = await cluster.StartAsync();
        await new Jobs(b).RunSyncAsync(1);
        var a = await cluster.StartAsync();
        var id = await new Jobs(b).RunAsync(JsonNode.Parse("""{"do":"stream","chunks":200,"ms":5}""")!);
        var events = await ReadAsync(a, id, null, most: 20);
        a.Process.Signal(ChildProcess.Sigkill);
        await a.DisposeAsync();
        events.AddRange(await ReadAsync(b, id, events[^1].Split('|')[0], int.MaxValue));
        Assert.Equal(Enumerable.Range(0, 200).Select(n => $"{n}|chunk|{{\"n\":{n}}}"), events.SkipLast(1));
        Assert.StartsWith("|done|", events[^1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task R1_a_killed_redis_loses_no_accepted_job()
    {
        await using var gateway = await cluster.StartAsync();
        var jobs = new Jobs(gateway);
        await jobs.RunSyncAsync(1);
        var ledger = new ConcurrentBag<string>();
        var refused = 0;
        var load = Parallel.ForEachAsync(Enumerable.Range(0, 1500), new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (_, _) =>
        {
            try
            {
                ledger.Add(await jobs.RunAsync(1));
            }
            catch (Exception e) when (e is Xunit.Sdk.XunitException)
            {
                Assert.Contains("503", e.Message, StringComparison.Ordinal);
                Interlocked.Increment(ref refused);
                await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, CancellationToken.None);
            }
        });
        await JobFaultsTest.UntilAsync(() => ledger.Count > 200);
        await cluster.Redis.KillAsync();
        await cluster.Redis.StartAsync();
        var back = Stopwatch.GetTimestamp();
        await load;
        foreach (var id in ledger) Assert.Equal("COMPLETED", (string?)(await jobs.EndAsync(id))["status"]);
        JobFaultsTest.Told($"R1: {ledger.Count} accepted, {refused} refused, all done {Stopwatch.GetElapsedTime(back).TotalSeconds:0.0} s after Redis was back");
        await jobs.QuietAsync();
    }

    [Fact]
    public async Task R3_R4_a_redis_that_stood_still_for_longer_than_a_lease_makes_no_job_run_twice()
    {
        await using var gateway = await cluster.StartAsync();
        var jobs = new Jobs(gateway);
        await jobs.RunSyncAsync(1);
        // The long form of the fault matrix' row is a minute.
        var pause = TimeSpan.FromSeconds(int.Parse(Environment.GetEnvironmentVariable("SLUICE_TEST_PAUSE_SECONDS") ?? "12", CultureInfo.InvariantCulture));
        var sleep = new JsonObject { ["do"] = "sleep", ["ms"] = pause.TotalMilliseconds + 4000 }.ToJsonString();
        var ids = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => jobs.RunAsync(JsonNode.Parse(sleep)!)));
        await JobFaultsTest.UntilAsync(() => ids.All(i => StubLog.Lines(cluster.Log).Any(l => l == $"begin {i} 1")));
        cluster.Redis.Signal(JobFaultsTest.Sigstop);
        await Task.Delay(pause, TimeProvider.System);
        cluster.Redis.Signal(JobFaultsTest.Sigcont);
        foreach (var id in ids)
        {
            var job = await jobs.EndAsync(id);
            Assert.Equal("COMPLETED", (string?)job["status"]);
            Assert.Equal(0, (int)job["retries"]!);
        }

        Assert.DoesNotContain(StubLog.Lines(cluster.Log), l => l.StartsWith("begin ", StringComparison.Ordinal) && l.EndsWith(" 2", StringComparison.Ordinal));
        await jobs.QuietAsync();
    }

    [Fact]
    public async Task A_gateway_whose_lease_ended_while_it_was_idle_takes_a_new_one_for_the_next_job()
    {
        await using var gateway = await cluster.StartAsync();
        var jobs = new Jobs(gateway);
        await jobs.RunSyncAsync(1);
        await jobs.QuietAsync();
        // What the end of ten idle seconds does.
        var (db, keys) = (cluster.Redis.Store.Database, new DispatchKeys("stub"));
        foreach (var holder in await db.SortedSetRangeByRankAsync(keys.Leases)) await db.SortedSetAddAsync(keys.Leases, holder, 1);
        await new DispatchScripts(cluster.Redis.Store).ReapAsync(keys, TimeSpan.FromSeconds(10), TimeSpan.Zero);
        Assert.Equal(0, await db.SortedSetLengthAsync(keys.Leases));
        Assert.Equal("COMPLETED", (string?)(await jobs.RunSyncAsync(1, waitMs: 20_000))["status"]);
    }

    [Fact]
    public async Task A_job_that_the_gateway_itself_stumbles_over_fails_once_and_says_so()
    {
        await using var gateway = await cluster.StartAsync();
        var jobs = new Jobs(gateway);
        var busy = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => jobs.RunAsync(JsonNode.Parse("""{"do":"sleep","ms":60000}""")!)));
        foreach (var id in busy) await jobs.StatusAsync(id, "IN_PROGRESS");
        var broken = await jobs.RunAsync(1);
        // A time limit that no submission could have brought.
        var (db, key) = (cluster.Redis.Store.Database, new JobKeys("stub").Dispatch.Asked);
        var asked = ((string)(await db.HashGetAsync(key, broken))!).Split('|');
        asked[4] = "99999999999";
        await db.HashSetAsync(key, broken, string.Join('|', asked));
        foreach (var id in busy) (await jobs.PostAsync($"cancel/{id}")).Dispose();

        var job = await jobs.EndAsync(broken);
        Assert.Equal(("FAILED", "GATEWAY_ERROR"), ((string?)job["status"], (string?)job["errorInfo"]!["code"]));
        Assert.Equal("COMPLETED", (string?)(await jobs.RunSyncAsync(1))["status"]);
        await jobs.QuietAsync();
    }

    [Fact]
    public async Task R5_a_full_redis_refuses_jobs_and_lets_those_end_that_it_has()
    {
        await using var gateway = await cluster.StartAsync();
        var jobs = new Jobs(gateway);
        await jobs.RunSyncAsync(1);
        var id = await jobs.RunAsync(JsonNode.Parse("""{"do":"sleep","ms":1500}""")!);
        await jobs.StatusAsync(id, "IN_PROGRESS");
        var db = cluster.Redis.Store.Database;
        await db.ExecuteAsync("CONFIG", "SET", "maxmemory", "1mb");
        using (var refused = await jobs.PostAsync("run", """{"input":1}"""))
        {
            Assert.Equal(503, (int)refused.StatusCode);
            Assert.NotNull(refused.Headers.RetryAfter);
        }

        Assert.Equal("COMPLETED", (string?)(await jobs.EndAsync(id))["status"]);
        await db.ExecuteAsync("CONFIG", "SET", "maxmemory", "0");
        Assert.Equal("COMPLETED", (string?)(await jobs.RunSyncAsync(1))["status"]);
        await jobs.QuietAsync();
    }

    [Fact]
    public async Task R7_R9_a_link_to_redis_that_swallows_everything_or_the_answers_loses_and_doubles_nothing()
    {
        using var proxy = new FaultProxy(cluster.Redis.Port);
        await using var gateway = await cluster.StartAsync(port: proxy.Port);
        var jobs = new Jobs(gateway);
        await jobs.RunSyncAsync(1);
        var ids = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => jobs.RunAsync(JsonNode.Parse("""{"do":"sleep","ms":1000}""")!)));
        proxy.LoseAnswers();
        var during = jobs.PostAsync("run", """{"input":{"do":"echo"}}""");
        await Task.Delay(TimeSpan.FromSeconds(3), TimeProvider.System);
        proxy.HealWithReset();
        (await during).Dispose();
        proxy.BlackHole();
        await Task.Delay(TimeSpan.FromSeconds(3), TimeProvider.System);
        proxy.HealWithReset();
        foreach (var id in ids) Assert.Equal("COMPLETED", (string?)(await jobs.EndAsync(id))["status"]);
        await jobs.QuietAsync();
        Assert.Equal("COMPLETED", (string?)(await jobs.RunSyncAsync(1))["status"]);
        foreach (var id in ids) Assert.InRange(StubLog.Lines(cluster.Log).Count(l => l.StartsWith($"end {id} ", StringComparison.Ordinal)), 1, 1);
    }

    private static async Task<List<string>> ReadAsync(GatewayProcess gateway, string id, string? after, int most)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/v2/stub/stream/{id}");
        request.Headers.Add("Accept", "text/event-stream");
        if (after is not null) request.Headers.Add("Last-Event-ID", after);
        using var answer = await gateway.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        return await Events.ReadAsync(await answer.Content.ReadAsStreamAsync(), most);
    }
}
