using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>What clients do: rows C1, C2, C7 and C8 of the fault matrix (C10 is in <see cref="JobsTest"/>, C12 in <c>JobClusterFaultsTest</c>).</summary>
[Trait("Matrix", "fault")]
public sealed class ClientFaultsTest : IDisposable
{
    private readonly string log = Path.GetTempFileName();

    public void Dispose() => StubLog.Delete(log);

    [Trait("Fault", "C1")]
    [Fact]
    public async Task Requests_and_synchronous_jobs_whose_clients_left_while_they_waited_never_run()
    {
        var count = FaultMatrix.Count(some: 200, whole: 500);
        await using var gateway = await InProcessGateway.StartAsync(Jobs.Manifest(log, concurrency: 1));
        var jobs = new Jobs(gateway);
        var busy = await jobs.RunAsync(JsonNode.Parse("""{"do":"sleep","ms":60000}""")!);
        await Eventually.HoldsAsync(() => Lines("begin ").Count == 1);
        using (var leave = new CancellationTokenSource())
        {
            var waiting = Enumerable.Range(0, count).Select(n => n % 2 == 0
                ? gateway.Client.PostAsync(new Uri("/e/stub/run", UriKind.Relative), new StringContent($$"""{"id":"c1-{{n}}","attempt":1,"input":1}"""), leave.Token)
                : gateway.Client.PostAsync(new Uri("/v2/stub/runsync", UriKind.Relative), new StringContent("""{"input":1}"""), leave.Token)).ToList();
            await Eventually.HoldsAsync(async () => await QueuedAsync() >= count);
            await leave.CancelAsync();
            foreach (var request in waiting) await Assert.ThrowsAnyAsync<OperationCanceledException>(() => request);
        }

        await Eventually.HoldsAsync(async () => await QueuedAsync() == 0);
        (await jobs.PostAsync($"cancel/{busy}")).Dispose();
        await jobs.RunSyncAsync(1);
        await jobs.QuietAsync();
        Assert.Equal(2, Lines("begin ").Count);
        FaultMatrix.Seen("C1", $"{count} left, 0 run");

        async Task<int> QueuedAsync() => (int)(await gateway.GetAsync("/api/v1/endpoints/stub"))["status"]!["queued"]!;
    }

    [Trait("Fault", "C2")]
    [Theory]
    [InlineData("/e/stub/run", """{"id":"c2","attempt":1,"input":{"do":"stream","chunks":100000,"ms":10}}""", "stream")]
    [InlineData("/v2/stub/runsync", """{"input":{"do":"sleep","ms":60000}}""", "runsync")]
    public async Task What_a_client_left_is_stopped_in_its_worker_and_its_slot_is_free(string path, string body, string what)
    {
        await using var gateway = await InProcessGateway.StartAsync(Jobs.Manifest(log, concurrency: 1));
        var jobs = new Jobs(gateway);
        var (stops, free) = (new List<double>(), new List<double>());
        for (var n = 0; n < FaultMatrix.Count(some: 2, whole: 100); n++)
        {
            using var leave = new CancellationTokenSource();
            using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(body) };
            var asked = gateway.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, leave.Token);
            // What came before ended the job that showed that the slot was free.
            await Eventually.HoldsAsync(() => Lines("begin ").Count == (2 * n) + 1);
            if (what == "stream") await (await (await asked).Content.ReadAsStreamAsync(leave.Token)).ReadExactlyAsync(new byte[20], leave.Token);
            var left = Stopwatch.GetTimestamp();
            if (asked.IsCompletedSuccessfully) (await asked).Dispose();
            await leave.CancelAsync();
            var next = jobs.RunSyncAsync(1);
            await Eventually.HoldsAsync(() => Lines("stopped ").Count == n + 1);
            stops.Add(Stopwatch.GetElapsedTime(left).TotalSeconds);
            Assert.Equal("COMPLETED", (string?)(await next)["status"]);
            free.Add(Stopwatch.GetElapsedTime(left).TotalSeconds);
            if (what != "stream") await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asked);
        }

        await jobs.QuietAsync();
        FaultMatrix.Seen("C2", $"{what}: stopped after {FaultMatrix.Spread(stops)}, the next job on the only slot done after {FaultMatrix.Spread(free)}");
    }

    [Trait("Fault", "C7")]
    [Fact]
    public async Task Ten_thousand_queued_jobs_are_cancelled_and_none_runs()
    {
        var singly = FaultMatrix.Count(some: 2000, whole: 10_000);
        await using var gateway = await InProcessGateway.StartAsync(Jobs.Manifest(log, scaling: ", min: 0").Replace("max: 1,", "max: 0,", StringComparison.Ordinal));
        var jobs = new Jobs(gateway);
        var ids = new ConcurrentBag<string>();
        await Parallel.ForEachAsync(Enumerable.Range(0, singly + 8000), new ParallelOptions { MaxDegreeOfParallelism = 64 },
            async (_, _) => ids.Add(await jobs.RunAsync(1)));
        Assert.Equal("PAUSED", (string?)(await jobs.GetAsync($"status/{ids.First()}"))["queue"]!["reason"]);

        var started = Stopwatch.GetTimestamp();
        await Parallel.ForEachAsync(ids.Take(singly), new ParallelOptions { MaxDegreeOfParallelism = 50 },
            async (id, _) => (await jobs.PostAsync($"cancel/{id}")).Dispose());
        var single = Stopwatch.GetElapsedTime(started);
        started = Stopwatch.GetTimestamp();
        using var purge = await jobs.PostAsync("purge-queue");
        var all = Stopwatch.GetElapsedTime(started);
        Assert.Equal(8000, (int)JsonNode.Parse(await purge.Content.ReadAsStringAsync())!["removed"]!);
        await jobs.QuietAsync();
        Assert.Equal(singly + 8000, (int)(await jobs.GetAsync("health"))["jobs"]!["cancelled"]!);
        Assert.Empty(Lines("begin "));
        FaultMatrix.Seen("C7", $"{singly} cancels, 50 at once: {single.TotalSeconds:0.00} s; a purge of 8000: {all.TotalSeconds:0.00} s; 0 run");
    }

    [Trait("Fault", "C8")]
    [Fact]
    public async Task A_cancel_that_races_the_end_tells_the_truth_to_both()
    {
        await using var gateway = await InProcessGateway.StartAsync(Jobs.Manifest(log, concurrency: 16));
        var jobs = new Jobs(gateway);
        await jobs.RunSyncAsync(1);
        var (cancelled, completed) = (0, 0);
        await Parallel.ForEachAsync(Enumerable.Range(0, FaultMatrix.Count(some: 500, whole: 10_000)), new ParallelOptions { MaxDegreeOfParallelism = 8 },
            async (n, ct) =>
        {
            // Some have ended for sure, some have not; with the others the offset varies.
            var id = await jobs.RunAsync(JsonNode.Parse($$"""{"do":"sleep","ms":{{(n % 10 == 8 ? 60_000 : n % 4)}}}""")!);
            if (n % 10 == 9) await jobs.EndAsync(id);
            else if (n % 3 > 0) await Task.Delay(TimeSpan.FromMilliseconds(n % 7), TimeProvider.System, ct);
            using var answer = await jobs.PostAsync($"cancel/{id}");
            var told = (string)JsonNode.Parse(await answer.Content.ReadAsStringAsync(ct))!["status"]!;
            var job = await jobs.EndAsync(id);
            Assert.Equal(told, (string?)job["status"]);
            Assert.Equal(told == "COMPLETED", job["output"] is not null);
            _ = told == "COMPLETED" ? Interlocked.Increment(ref completed) : Interlocked.Increment(ref cancelled);
        });
        Assert.True(cancelled > 0 && completed > 0, $"{cancelled} cancelled, {completed} completed");
        await jobs.QuietAsync();
        FaultMatrix.Seen("C8", $"{cancelled} cancelled, {completed} completed, 0 contradictions");
    }

    private List<string> Lines(string start) => [.. StubLog.Lines(log).Where(l => l.StartsWith(start, StringComparison.Ordinal))];
}
