using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>Faults of workers as senders of plain requests meet them: rows W1, W6, W7 and W8 of the fault matrix.</summary>
[Trait("Matrix", "fault")]
public sealed class RequestFaultsTest : IDisposable
{
    private readonly string log = Path.GetTempFileName();
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-hostile-").FullName;

    public void Dispose()
    {
        StubLog.Delete(log);
        Directory.Delete(folder, recursive: true);
    }

    [Trait("Fault", "W1")]
    [Fact]
    public async Task A_request_whose_worker_is_killed_is_told_at_once_and_its_slot_is_not_lost()
    {
        await using var gateway = await GatewayProcess.StartAsync(Jobs.Manifest(log, more: "forwarding: { maxAttempts: 1 }"));
        var waits = new List<double>();
        for (var n = 0; n < FaultMatrix.Count(some: 3, whole: 200); n++)
        {
            var asked = gateway.Client.PostAsync(new Uri("/e/stub/run", UriKind.Relative),
                new StringContent($$$"""{"id":"w1-{{{n}}}","attempt":1,"input":{"do":"sleep","ms":60000}}"""));
            await Eventually.HoldsAsync(() => StubLog.Lines(log).Contains($"begin w1-{n} 1"));
            var victim = (int)Assert.Single(await gateway.WorkersAsync("stub", "ready"))["processId"]!;
            var killed = Stopwatch.GetTimestamp();
            ChildProcess.Signal(victim, ChildProcess.Sigkill);
            using var answer = await asked;
            waits.Add(Stopwatch.GetElapsedTime(killed).TotalSeconds);
            Assert.Equal(HttpStatusCode.BadGateway, answer.StatusCode);
            Assert.Contains("failed before its response", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }

        await new Jobs(gateway).RunSyncAsync(1);
        await FaultsTest.SlotsExactAsync(gateway, "stub");
        FaultMatrix.Seen("W1", $"{waits.Count} kills: 502 after {FaultMatrix.Spread(waits)}; slots exact");
    }

    [Trait("Fault", "W6")]
    [Fact]
    public async Task What_is_no_answer_is_told_as_such_and_what_is_large_passes_through()
    {
        await using var gateway = await HostileAsync();
        var mib = FaultMatrix.Count(some: 64, whole: 1024);
        var told = new List<string>();
        foreach (var path in new[] { "/garbage", "/empty", "/many-headers", "/unframed" })
        {
            using var answer = await gateway.Client.GetAsync(new Uri("/e/hostile" + path, UriKind.Relative));
            var problem = JsonNode.Parse(await answer.Content.ReadAsStringAsync())!;
            Assert.True(answer.StatusCode == HttpStatusCode.BadGateway, $"{path}: {problem}");
            Assert.NotEqual("", (string?)problem["error"]);
            told.Add(path[1..]);
        }

        using var large = await gateway.Client.GetAsync(new Uri($"/e/hostile/large?mib={mib}", UriKind.Relative), HttpCompletionOption.ResponseHeadersRead);
        await using var body = await large.Content.ReadAsStreamAsync();
        var (buffer, bytes) = (new byte[1 << 20], 0L);
        while (await body.ReadAsync(buffer) is var n and > 0) bytes += n;
        Assert.Equal((long)mib << 20, bytes);
        var memory = File.ReadLines($"/proc/{gateway.Process.Id}/status").First(l => l.StartsWith("VmHWM:", StringComparison.Ordinal)).Split(':')[1].Trim();
        Assert.DoesNotContain("nhandled exception", gateway.Process.Output, StringComparison.Ordinal);
        using var alive = await gateway.Client.PostAsync(new Uri("/e/hostile/echo", UriKind.Relative), new StringContent("here"));
        Assert.Equal("here", await alive.Content.ReadAsStringAsync());
        FaultMatrix.Seen("W6", $"requests: 502 for {string.Join(", ", told)}; {mib} MiB passed through, the gateway's memory {memory} at most; no 500");
    }

    [Trait("Fault", "W7")]
    [Fact]
    public async Task No_half_answer_looks_whole()
    {
        await using var gateway = await HostileAsync();
        string[] kinds = ["cut-length", "cut-chunks", "cut-events", "reset", "unframed"];
        var seen = new ConcurrentDictionary<string, int>();
        await Parallel.ForEachAsync(Enumerable.Range(0, kinds.Length * FaultMatrix.Count(some: 4, whole: 200)),
            new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (n, ct) =>
        {
            var what = "aborted";
            try
            {
                using var answer = await gateway.Client.GetAsync(new Uri($"/e/hostile/{kinds[n % kinds.Length]}", UriKind.Relative), ct);
                await answer.Content.ReadAsByteArrayAsync(ct);
                what = answer.IsSuccessStatusCode ? "whole" : $"answered {(int)answer.StatusCode}";
            }
            catch (HttpRequestException)
            {
                // As it is to be.
            }

            seen.AddOrUpdate(what, 1, (_, count) => count + 1);
        });

        Assert.DoesNotContain("whole", seen.Keys);
        Assert.Equal(["aborted", "answered 502"], seen.Keys.Order());
        FaultMatrix.Seen("W7", $"requests: 0 of {seen.Values.Sum()} whole ({string.Join(", ", seen.Select(s => $"{s.Value} {s.Key}").Order())})");
    }

    [Trait("Fault", "W8")]
    [Fact]
    public async Task An_answer_that_stalls_is_given_up_after_the_endpoints_time()
    {
        await using var gateway = await HostileAsync("2s");
        var waits = await Task.WhenAll(Enumerable.Range(0, FaultMatrix.Count(some: 2, whole: 8)).Select(async _ =>
        {
            using var answer = await gateway.Client.GetAsync(new Uri("/e/hostile/stall", UriKind.Relative), HttpCompletionOption.ResponseHeadersRead);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            await using var body = await answer.Content.ReadAsStreamAsync();
            Assert.Equal(4, await body.ReadAtLeastAsync(new byte[4], 4));
            var began = Stopwatch.GetTimestamp();
            await Assert.ThrowsAnyAsync<Exception>(async () => await body.ReadExactlyAsync(new byte[1]));
            return Stopwatch.GetElapsedTime(began).TotalSeconds;
        }));

        Assert.All(waits, w => Assert.True(w > 1.9, $"given up after {w} s"));
        await FaultsTest.SlotsExactAsync(gateway, "hostile", slots: 8);
        FaultMatrix.Seen("W8", $"{waits.Length} answers aborted after {waits.Min() / 2:0.00} to {waits.Max() / 2:0.00} of the setting of 2 s; slots exact");
    }

    /// <summary>Starts a gateway with a hostile worker, which may be slow on a busy machine.</summary>
    private Task<GatewayProcess> HostileAsync(string activityTimeout = "60s") => GatewayProcess.StartAsync($$"""
        templates:
          - name: hostile
            command: [/usr/bin/python3, "{{Repository.HostileWorker}}", "{port}", "{{folder}}"]
            protocol: http1
            readyPath: /ready
            concurrency: 8
        endpoints:
          - { id: hostile, template: hostile, forwarding: { activityTimeout: {{activityTimeout}}, maxAttempts: 1 } }
        """);
}
