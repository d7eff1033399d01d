using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json.Nodes;
using Sluice.Shared;
using Sluice.Storage.Queueing;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>Faults of gateways: rows G, W5 and C12 of the fault matrix, with gateways on one Redis.</summary>
[Trait("Matrix", "fault")]
[Trait("Part", "leases")]
public sealed class JobClusterFaultsTest : IAsyncLifetime
{
    private readonly JobCluster cluster = new();

    public ValueTask InitializeAsync() => cluster.Redis.InitializeAsync();

    public async ValueTask DisposeAsync()
    {
        await cluster.DisposeAsync();
    }

    [Trait("Fault", "G1")]
    [Fact]
    public async Task A_killed_gateway_loses_no_job_and_its_slots_are_free_again()
    {
        await using var b = await cluster.StartAsync();
        var jobs = new Jobs(b);
        var (queued, keyed) = (FaultMatrix.Count(some: 200, whole: 500), FaultMatrix.Count(some: 40, whole: 200));
        var (exact, again, rounds) = (new List<double>(), 0, FaultMatrix.Count(some: 1, whole: 20));
        for (var round = 0; round < rounds; round++)
        {
            await using var a = await cluster.StartAsync();
            Jobs[] both = [new Jobs(a), jobs];
            var ids = await Task.WhenAll(Enumerable.Range(0, queued).Select(n => both[n % 2].RunAsync(JsonNode.Parse("""{"do":"sleep","ms":20}""")!)));
            var answers = Enumerable.Range(0, keyed).Select(n => KeyedAsync(a, $"{round}-{n}")).ToList();
            var begun = StubLog.Lines(cluster.Log).Count(IsBegin);
            await Eventually.HoldsAsync(() => StubLog.Lines(cluster.Log).Count(IsBegin) > begun + 50);
            a.Process.Signal(ChildProcess.Sigkill);
            var killed = Stopwatch.GetTimestamp();
            Assert.Equal(keyed, (await Task.WhenAll(answers)).Distinct().Count());
            foreach (var id in ids) Assert.Equal("COMPLETED", (string?)(await jobs.EndAsync(id))["status"]);
            await jobs.QuietAsync();
            await FaultsTest.SlotsExactAsync(b, "stub");
            exact.Add(Stopwatch.GetElapsedTime(killed).TotalSeconds);
        }

        Assert.Equal((long)rounds * (queued + keyed), (long)(await jobs.GetAsync("health"))["jobs"]!["completed"]!);
        FaultMatrix.Seen("G1", $"{rounds} kills: {rounds * queued} run and {rounds * keyed} runsync all COMPLETED, ",
            $"{again} runsync asked again with their key: no job twice; all done and slots exact after {exact.Max():0.0} s at most");

        static bool IsBegin(string line) => line.StartsWith("begin ", StringComparison.Ordinal);

        // The answer of a gateway that dies is lost; asked again with the same key it is that of the same job.
        async Task<string> KeyedAsync(GatewayProcess first, string key)
        {
            foreach (var gateway in new[] { first, b })
            {
                try
                {
                    using var request = new HttpRequestMessage(HttpMethod.Post, "/v2/stub/runsync?wait=60000");
                    request.Content = new StringContent("""{"input":{"do":"sleep","ms":20}}""");
                    request.Headers.Add("Idempotency-Key", key);
                    using var answer = await gateway.Client.SendAsync(request);
                    var job = JsonNode.Parse(await answer.Content.ReadAsStringAsync())!;
                    Assert.Equal("COMPLETED", (string?)job["status"]);
                    return (string)job["id"]!;
                }
                catch (HttpRequestException) when (gateway == first)
                {
                    Interlocked.Increment(ref again);
                }
            }

            throw new InvalidOperationException("nobody answered");
        }
    }

    public static TheoryData<string> CrashPoints => [.. CrashPoint.Names.Where(n => n is not ("after-take" or "after-delivery"))];

    [Trait("Fault", "G2")]
    [Theory]
    [MemberData(nameof(CrashPoints))]
    public async Task A_gateway_that_dies_between_two_steps_leaves_nothing_that_is_not_recovered(string point)
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
        FaultMatrix.Seen("G2", $"dead {point}: recovered");
    }

    [Trait("Fault", "G3")]
    [Fact]
    public async Task A_rolling_restart_of_three_gateways_under_load_fails_nothing()
    {
        var gateways = new[] { await cluster.StartAsync(), await cluster.StartAsync(), await cluster.StartAsync() };
        var rotation = new ConcurrentDictionary<int, GatewayProcess>(gateways.Index().Select(g => KeyValuePair.Create(g.Index, g.Item)));
        await new Jobs(gateways[0]).RunSyncAsync(1);
        using var stop = new CancellationTokenSource();
        var (ledger, requests, elsewhere, restarts) = (new ConcurrentBag<string>(), 0, 0, 0);
        var load = Task.WhenAll(Enumerable.Range(0, 8).Select(k => Task.Run(() => LoadAsync(k))));
        var least = FaultMatrix.Count(some: 200, whole: 20_000);
        for (var round = 0; round < FaultMatrix.Count(some: 1, whole: 20) || ledger.Count + requests < least; round++)
        {
            for (var n = 0; n < gateways.Length; n++)
            {
                // As behind a balancer: what is on its way goes on, what is new goes to another one.
                rotation.TryRemove(n, out _);
                gateways[n].Process.Signal(ChildProcess.Sigterm);
                Assert.Equal(0, await gateways[n].Process.ExitAsync());
                await gateways[n].DisposeAsync();
                rotation[n] = gateways[n] = await cluster.StartAsync();
                restarts++;
            }
        }

        await stop.CancelAsync();
        await load;
        var jobs = new Jobs(gateways[0]);
        await Parallel.ForEachAsync(ledger, async (id, _) =>
        {
            var job = await jobs.EndAsync(id);
            Assert.True((string?)job["status"] == "COMPLETED", job.ToJsonString());
        });
        await jobs.QuietAsync();
        foreach (var gateway in gateways) await gateway.DisposeAsync();
        FaultMatrix.Seen("G3", $"{restarts} restarts, each exit code 0: {requests} requests and {ledger.Count} jobs, ",
            $"0 failed ({elsewhere} found a port closed and went to another gateway)");

        async Task LoadAsync(int sender)
        {
            for (var n = sender; !stop.IsCancellationRequested; n++)
            {
                var gateway = rotation.Values.ElementAt(n % rotation.Count);
                try
                {
                    if (n % 2 == 0) ledger.Add(await new Jobs(gateway).RunAsync(JsonNode.Parse("""{"do":"sleep","ms":10}""")!));
                    else await AskAsync(gateway);
                }
                catch (HttpRequestException e) when (e.HttpRequestError == HttpRequestError.ConnectionError)
                {
                    Interlocked.Increment(ref elsewhere);
                }
            }
        }

        async Task AskAsync(GatewayProcess gateway)
        {
            using var answer = await gateway.Client.PostAsync(new Uri("/e/stub/run", UriKind.Relative),
                new StringContent("""{"id":"g3","attempt":1,"input":{"do":"sleep","ms":10}}"""));
            Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
            Interlocked.Increment(ref requests);
        }
    }

    [Trait("Fault", "G3")]
    [Fact]
    public async Task A_stopping_gateway_lets_what_others_have_at_its_workers_finish()
    {
        // Its own patience is at an end before the stream is: others have 5 s in any case.
        var a = await cluster.StartAsync(more: new() { ["SLUICE_DRAIN_SECONDS"] = "1" });
        await new Jobs(a).RunSyncAsync(1);
        await using var b = await cluster.StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Post, "/e/stub/run");
        request.Content = new StringContent("""{"id":"whole","attempt":1,"input":{"do":"stream","chunks":150,"ms":20}}""");
        using var answer = await b.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        a.Process.Signal(ChildProcess.Sigterm);
        Assert.Equal(150, (await Events.ReadAsync(await answer.Content.ReadAsStreamAsync())).Count);
        Assert.Equal(0, await a.Process.ExitAsync());
        await a.DisposeAsync();
        Assert.Equal("COMPLETED", (string?)(await new Jobs(b).RunSyncAsync(1))["status"]);
        await new Jobs(b).QuietAsync();
        FaultMatrix.Seen("G3", $"another gateway's stream of 3 s at a worker of the one that stops: whole");
    }

    [Trait("Fault", "G3")]
    [Fact]
    public async Task A_job_that_runs_for_longer_than_a_stopping_gateway_waits_goes_to_another_one_and_it_does_not_count()
    {
        var a = await cluster.StartAsync(more: new() { ["SLUICE_DRAIN_SECONDS"] = "1" });
        // Longer than the start of another gateway on a loaded machine.
        var id = await new Jobs(a).RunAsync(JsonNode.Parse("""{"do":"sleep","ms":12000}""")!);
        await Eventually.HoldsAsync(() => StubLog.Lines(cluster.Log).Any(l => l == $"begin {id} 1"));
        await using var b = await cluster.StartAsync();
        a.Process.Signal(ChildProcess.Sigterm);
        Assert.Equal(0, await a.Process.ExitAsync());
        var job = await new Jobs(b).EndAsync(id);
        Assert.Equal("COMPLETED", (string?)job["status"]);
        Assert.Equal(0, (int)job["retries"]!);
        Assert.Contains("The gateway stopped", job["attempts"]!.ToJsonString(), StringComparison.Ordinal);
        await new Jobs(b).QuietAsync();
        await a.DisposeAsync();
    }

    [Trait("Fault", "G4")]
    [Trait("Fault", "W5")]
    [Fact]
    public async Task A_gateway_that_stood_still_is_taken_over_from_and_its_late_results_are_refused()
    {
        var count = FaultMatrix.Count(some: 20, whole: 200);
        var manifest = Jobs.Manifest(cluster.Log, max: 1, concurrency: count, more: "jobs: { maxRuns: 20 }");
        await using var a = await cluster.StartAsync(manifest: manifest);
        var only = new Jobs(a);
        await only.RunSyncAsync(1);
        var ids = await Task.WhenAll(Enumerable.Range(0, count).Select(_ => only.RunAsync(JsonNode.Parse("""{"do":"sleep","ms":3000}""")!)));
        await Eventually.HoldsAsync(() => StubLog.Lines(cluster.Log).Count(l => l.StartsWith("begin ", StringComparison.Ordinal)) == count + 1);
        a.Process.Signal(JobFaultsTest.Sigstop);
        var stood = Stopwatch.GetTimestamp();
        await using var b = await cluster.StartAsync(manifest: manifest);
        var jobs = new Jobs(b);
        // The lease of the one that stands ends after 10 s, the leader's too; then the other one runs the jobs again.
        var ended = await Task.WhenAll(ids.Select(jobs.EndAsync));
        if (FaultMatrix.Whole) await Task.Delay(TimeSpan.FromSeconds(30) - Stopwatch.GetElapsedTime(stood), TimeProvider.System);
        var wakes = Stopwatch.GetElapsedTime(stood);
        a.Process.Signal(JobFaultsTest.Sigcont);
        Assert.All(ended, job =>
        {
            Assert.Equal(("COMPLETED", 1), ((string?)job["status"], (int)job["retries"]!));
            Assert.Contains("gateway lost", job["attempts"]!.ToJsonString(), StringComparison.Ordinal);
        });
        // All its attempts have come to something: a result, which is refused, or an end with its lease.
        await Eventually.HoldsAsync(async () => await a.MetricAsync("sluice_job_attempts_total") >= count + 1);
        Assert.Equal("COMPLETED", (string?)(await only.RunSyncAsync(1))["status"]);
        var overwritten = 0;
        foreach (var job in ended)
            if (job["timings"]!["endedAt"]!.ToJsonString() != (await jobs.GetAsync($"status/{job["id"]}"))["timings"]!["endedAt"]!.ToJsonString()) overwritten++;
        Assert.Equal(0, overwritten);
        await jobs.QuietAsync();
        var late = await a.MetricAsync("sluice_job_stale_total");
        FaultMatrix.Seen("W5", $"woken after {wakes.TotalSeconds:0} s it reported {late} late results, all refused, ",
            $"and dropped {count - late} with its lease: {overwritten} of {count} changed");
        FaultMatrix.Seen("G4", $"{count} of {count} jobs run again once by the other gateway and COMPLETED, 0 double results");
    }

    [Trait("Fault", "C12")]
    [Fact]
    public async Task A_stream_goes_on_at_another_gateway_without_gap_or_repeat()
    {
        var (streams, readers) = (FaultMatrix.Count(some: 1, whole: 20), FaultMatrix.Count(some: 1, whole: 50));
        var manifest = Jobs.Manifest(cluster.Log, max: 1, concurrency: 32, more: "jobs: { maxRuns: 20 }");
        await using var b = await cluster.StartAsync(manifest: manifest);
        await new Jobs(b).RunSyncAsync(1);
        var a = await cluster.StartAsync(manifest: manifest);
        var input = $$"""{"do":"stream","chunks":200,"ms":{{FaultMatrix.Count(some: 5, whole: 50)}}}""";
        var ids = await Task.WhenAll(Enumerable.Range(0, streams).Select(_ => new Jobs(b).RunAsync(JsonNode.Parse(input)!)));
        var read = ids.SelectMany(id => Enumerable.Repeat(id, readers)).Select(async id => (Id: id, Events: await ReadAsync(a, id, null, most: 20))).ToList();
        await Task.WhenAll(read);
        a.Process.Signal(ChildProcess.Sigkill);
        await a.DisposeAsync();
        var wrong = 0;
        await Task.WhenAll(read.Select(async reader =>
        {
            var (id, events) = await reader;
            events.AddRange(await ReadAsync(b, id, events[^1].Split('|')[0], int.MaxValue));
            if (!events.SkipLast(1).SequenceEqual(Enumerable.Range(0, 200).Select(n => $"{n}||{{\"n\":{n}}}"))
                || !events[^1].StartsWith("200-done|done|", StringComparison.Ordinal)) Interlocked.Increment(ref wrong);
        }));
        Assert.Equal(0, wrong);
        FaultMatrix.Seen("C12", $"{wrong} of {read.Count} readers with a gap or a repeat: 200 chunks each, 20 before the kill");
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
        var scripts = new DispatchScripts(cluster.Redis.Store);
        await Eventually.HoldsAsync(async () =>
        {
            // The gateway can renew its lease between these commands.
            foreach (var holder in await db.SortedSetRangeByRankAsync(keys.Leases))
                await db.SortedSetAddAsync(keys.Leases, holder, 1);
            await scripts.ReapAsync(keys, TimeSpan.FromSeconds(10), TimeSpan.Zero);
            return await db.SortedSetLengthAsync(keys.Leases) == 0;
        }, "the end of the gateway's lease");
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
        var (db, key) = (cluster.Redis.Store.Database, new JobKeys("stub").Dispatch.Jobs);
        var original = (string)(await db.HashGetAsync(key, broken))!;
        var asked = original.Split('|');
        asked[4] = "99999999999";
        await db.HashSetAsync(key, broken, string.Join('|', asked));
        foreach (var id in busy) (await jobs.PostAsync($"cancel/{id}")).Dispose();

        var job = await jobs.EndAsync(broken);
        Assert.Equal(("FAILED", "GATEWAY_ERROR"), ((string?)job["status"], (string?)job["errorInfo"]!["code"]));
        Assert.Equal("COMPLETED", (string?)(await jobs.RunSyncAsync(1))["status"]);
        // The checker compares what is stored with the bytes that were counted at the submission.
        await db.HashSetAsync(key, broken, original);
        await jobs.QuietAsync();
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
