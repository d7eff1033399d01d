using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>
/// Submits jobs to two gateways on one Redis while gateways, workers and Redis are killed at random (SIGKILL; some
/// workers are only suspended for a while). A ledger of the accepted jobs is checked at the end: each job has exactly
/// one final state, its output belongs to its input, and the invariant checker finds nothing. The seed decides what is
/// killed and when.
/// </summary>
public sealed class Chaos(int jobs, int kills, int seed) : IAsyncDisposable
{
    private const int Submitters = 12;
    private const int Sigstop = 19;
    private const int Sigcont = 18;

    private static readonly TimeSpan Settle = TimeSpan.FromMinutes(5);

    private readonly string log = Path.GetTempFileName();
    private readonly string payloads = Directory.CreateTempSubdirectory("sluice-payloads-").FullName;
    private readonly RedisFixture redis = new();
    private readonly Random random = new(seed);
    private readonly GatewayProcess?[] gateways = new GatewayProcess?[2];
    private readonly ConcurrentDictionary<string, int> ledger = [];
    private readonly ConcurrentDictionary<string, DateTimeOffset> workerKills = [];
    private readonly ConcurrentQueue<DateTimeOffset> otherKills = [];
    private readonly Dictionary<string, int> done = new() { ["worker"] = 0, ["gateway"] = 0, ["redis"] = 0, ["worker stopped"] = 0 };
    private int submitted;
    private int killed;
    private int refused;

    public async Task<string> RunAsync(CancellationToken ct)
    {
        Console.Error.WriteLine($"seed {seed}: {jobs} jobs, {kills} kills");
        await redis.InitializeAsync();
        for (var i = 0; i < gateways.Length; i++) gateways[i] = await StartAsync();
        await CreateBudgetAsync(ct);
        var started = TimeProvider.System.GetUtcNow();
        var load = Task.WhenAll(Enumerable.Range(0, Submitters).Select(_ => SubmitAsync(ct)));
        for (var kill = 0; kill < kills; kill++)
        {
            // In step with the jobs, so that the kills fall all over them.
            while (submitted < (long)jobs * kill / kills && !load.IsCompleted) await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, ct);
            // What cannot be killed now (no worker is ready) is awaited. If another victim were drawn, gateways would be
            // killed one after another until no worker can start.
            var what = random.Next(100);
            while (!await KillAsync(what, ct))
                await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, ct);
            killed++;
            await Task.Delay(TimeSpan.FromMilliseconds(random.Next(50, 800)), TimeProvider.System, ct);
        }

        await load;
        await QuietAsync(ct);
        return await JudgeAsync(TimeProvider.System.GetUtcNow() - started, ct);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var gateway in gateways)
            if (gateway is not null) await gateway.DisposeAsync();
        await redis.DisposeAsync();
        StubLog.Delete(log);
        Directory.Delete(payloads, recursive: true);
    }

    private Task<GatewayProcess> StartAsync() => GatewayProcess.StartAsync($$"""
        templates:
          - name: stub
            command: ["{{Repository.StubWorker}}"]
            concurrency: 8
            readyPath: /ready
            env: { STUB_LOG: "{{log}}" }
            stopGrace: 1s
        endpoints:
          - { id: stub, template: stub, scaling: { min: 2, max: 2, idleTimeout: 600s }, jobs: { maxRuns: 100 }, forwarding: { executionTimeout: 60s } }
        """, environment: new Dictionary<string, string?>
        {
            ["SLUICE_REDIS"] = redis.ConnectionString, ["SLUICE_ADMIN_KEY"] = "one-admin-key-of-all-gateways", ["SLUICE_PAYLOADS"] = payloads,
            ["SLUICE_POLL_RATE"] = "0",
        });

    /// <summary>
    /// Submits until all are accepted. An outcome that is unknown is asked again with the same Idempotency-Key.
    /// </summary>
    private async Task SubmitAsync(CancellationToken ct)
    {
        while (Interlocked.Increment(ref submitted) is var n && n <= jobs)
        {
            while (n > (long)jobs * (Volatile.Read(ref killed) + 2) / kills) await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, ct);
            for (var at = n % 2; ; at = 1 - at)
            {
                var gateway = gateways[at];
                if (gateway is null)
                {
                    await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, ct);
                    continue;
                }

                try
                {
                    using var request = new HttpRequestMessage(HttpMethod.Post, "/v2/stub/run")
                    {
                        Content = new StringContent(string.Create(CultureInfo.InvariantCulture, $"{{\"input\":{{\"do\":\"sleep\",\"ms\":{n % 10},\"n\":{n}}}}}")),
                    };
                    request.Headers.Add("Idempotency-Key", $"{seed}-{n}");
                    using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
                    limit.CancelAfter(TimeSpan.FromSeconds(10));
                    using var answer = await gateway.Client.SendAsync(request, limit.Token);
                    if (answer.IsSuccessStatusCode)
                    {
                        var id = (string)JsonNode.Parse(await answer.Content.ReadAsStringAsync(limit.Token))!["id"]!;
                        if (!ledger.TryAdd(id, n)) throw new InvalidOperationException($"two submissions were given the job {id}");
                        break;
                    }

                    Interlocked.Increment(ref refused);
                }
                catch (Exception e) when (e is HttpRequestException or IOException or ObjectDisposedException or TaskCanceledException && !ct.IsCancellationRequested)
                {
                    Interlocked.Increment(ref refused);
                }

                await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, ct);
            }
        }
    }

    private async Task<bool> KillAsync(int what, CancellationToken ct)
    {
        if (what < 12)
        {
            done["redis"]++;
            otherKills.Enqueue(TimeProvider.System.GetUtcNow());
            await redis.KillAsync();
            await redis.StartAsync();
        }
        else if (what < 35)
        {
            var at = random.Next(gateways.Length);
            if (gateways[at] is not { } victim) return false;
            done["gateway"]++;
            gateways[at] = null;
            otherKills.Enqueue(TimeProvider.System.GetUtcNow());
            victim.Process.Signal(ChildProcess.Sigkill);
            await victim.Process.ExitAsync();
            await victim.DisposeAsync();
            gateways[at] = await StartAsync();
        }
        else
        {
            return await KillWorkerAsync(what >= 95, ct);
        }

        return true;
    }

    private async Task<bool> KillWorkerAsync(bool onlyStop, CancellationToken ct)
    {
        IReadOnlyList<JsonObject> ready;
        try
        {
            ready = await gateways.First(g => g is not null)!.WorkersAsync("stub", "ready");
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            return false;
        }

        if (ready.Count == 0) return false;
        var victim = ready[random.Next(ready.Count)];
        workerKills[(string)victim["id"]!] = TimeProvider.System.GetUtcNow();
        var process = (int)victim["processId"]!;
        done[onlyStop ? "worker stopped" : "worker"]++;
        ChildProcess.Signal(process, onlyStop ? Sigstop : ChildProcess.Sigkill);
        if (!onlyStop) return true;
        await Task.Delay(TimeSpan.FromMilliseconds(random.Next(200, 3000)), TimeProvider.System, ct);
        ChildProcess.Signal(process, Sigcont);
        return true;
    }

    private async Task QuietAsync(CancellationToken ct)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(Settle);
        while (true)
        {
            var seen = "";
            try
            {
                var counts = (await gateways[0]!.GetAsync("/v2/stub/health"))["jobs"]!;
                var check = await gateways[0]!.GetAsync("/api/v1/admin/check");
                if ((int)counts["inQueue"]! + (int)counts["inProgress"]! == 0 && (bool)check["ok"]!) return;
                seen = $"{counts} {check}";
            }
            catch (HttpRequestException e)
            {
                // Redis was killed a moment ago.
                seen = e.Message;
            }

            if (limit.IsCancellationRequested) throw new TimeoutException($"not quiet after {Settle}: {seen}");
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, ct);
        }
    }

    private async Task<string> JudgeAsync(TimeSpan took, CancellationToken ct)
    {
        var states = new ConcurrentDictionary<string, int>();
        var failures = new ConcurrentQueue<string>();
        var (lost, wrong, retried) = (0, 0, 0);
        var (fromWorkers, fromGateways) = (new ConcurrentBag<double>(), new ConcurrentBag<double>());
        await Parallel.ForEachAsync(ledger, new ParallelOptions { MaxDegreeOfParallelism = 16, CancellationToken = ct }, async (entry, token) =>
        {
            using var answer = await gateways[0]!.Client.GetAsync(new Uri($"/v2/stub/status/{entry.Key}", UriKind.Relative), token);
            if (!answer.IsSuccessStatusCode)
            {
                Interlocked.Increment(ref lost);
                return;
            }

            var job = JsonNode.Parse(await answer.Content.ReadAsStringAsync(token))!;
            states.AddOrUpdate((string)job["status"]!, 1, (_, n) => n + 1);
            if ((string?)job["status"] == "COMPLETED" && (int)job["output"]!["n"]! != entry.Value) Interlocked.Increment(ref wrong);
            if ((string?)job["status"] is "FAILED" or "TIMED_OUT") failures.Enqueue($"{job["errorInfo"]?["code"]}: {job["errorInfo"]?["message"]}");
            if (job["attempts"] is not JsonArray attempts) return;
            Interlocked.Increment(ref retried);
            if (RecoveryOf(job, attempts[^1]!, out var byWorker) is { } seconds) (byWorker ? fromWorkers : fromGateways).Add(seconds);
        });

        var ends = StubLog.Lines(log).Where(l => l.StartsWith("end ", StringComparison.Ordinal)).GroupBy(l => l.Split(' ')[1]).ToDictionary(g => g.Key, g => g.Count());
        var began = StubLog.Lines(log).Count(l => l.StartsWith("begin ", StringComparison.Ordinal));
        var check = await gateways[0]!.GetAsync("/api/v1/admin/check");
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"Seed {seed}, {took.TotalSeconds:0} s.").AppendLine();
        text.AppendLine("| what | seen |").AppendLine("|---|---|");
        Row("killed", string.Join(", ", done.Select(d => $"{d.Value} {d.Key}")));
        Row("jobs accepted", $"{ledger.Count} of {jobs} (each submitted until accepted; {refused} tries failed)");
        Row("**lost** (accepted, and not to be found)", $"**{lost}**");
        Row("final states", string.Join(", ", states.Select(s => $"{s.Value} {s.Key}")));
        foreach (var failure in failures.Take(20)) Row("failed", failure);
        Row("**other than one final state**", $"**{ledger.Count - lost - states.Where(s => s.Key is not ("IN_QUEUE" or "IN_PROGRESS")).Sum(s => s.Value)}**");
        Row("outputs of another job", $"{wrong}");
        Row("executions begun; jobs tried again; ended twice by workers (the fence let one count)", $"{began}; {retried}; {ends.Values.Count(n => n > 1)}");
        Row("**ended jobs in the usage ledger, beside the accepted jobs**", $"**{await UsageAsync(states)}**");
        Row("**used of a budget of requests, beside the accepted jobs**",
            $"**{await BudgetAsync(ct)}; {ledger.Count}**");
        Row("invariant checker, slots included", (bool)check["ok"]! ? "nothing found" : check.ToJsonString());
        Row("from a worker's kill to the next attempt of its jobs", FaultMatrix.Spread(fromWorkers));
        Row("from a gateway's kill (its lease of 10 s has to end) to the next attempt of its jobs", FaultMatrix.Spread(fromGateways));
        return text.ToString();

        void Row(string what, string seen) => text.AppendLine(CultureInfo.InvariantCulture, $"| {what} | {seen} |");
    }

    /// <summary>
    /// Compares the ended jobs in the usage ledger with the states of the accepted jobs. It has each end once.
    /// </summary>
    private async Task<string> UsageAsync(IReadOnlyDictionary<string, int> states)
    {
        var report = await gateways[0]!.GetAsync("/api/v1/usage?endpoint=stub&step=month&groupBy=key");
        var usage = report["usage"]!.AsArray();
        var differences = new List<string>();
        foreach (var (field, status) in new[]
            { ("completed", "COMPLETED"), ("failed", "FAILED"), ("cancelled", "CANCELLED"), ("timedOut", "TIMED_OUT") })
        {
            var counted = usage.Sum(u => (int)u!["jobs"]![field]!);
            if (counted != states.GetValueOrDefault(status)) differences.Add($"{counted} {status}");
        }

        var seconds = usage.Sum(u => (double)u!["workerSeconds"]!["busy"]!);
        return differences.Count > 0
            ? $"different: {string.Join(", ", differences)}"
            : string.Create(CultureInfo.InvariantCulture, $"equal; {seconds:0.0} s busy");
    }

    /// <summary>Creates a budget of requests, in which each accepted job counts once.</summary>
    private async Task CreateBudgetAsync(CancellationToken ct)
    {
        using var budget = new StringContent(
            """{"name":"chaos","scope":"gateway","unit":"requests","window":"month","limit":1e9}""");
        using var created = await gateways[0]!.Client.PostAsync(
            new Uri("/api/v1/budgets", UriKind.Relative), budget, ct);
        created.EnsureSuccessStatusCode();
    }

    /// <summary>
    /// What is used of the budget, once two minutes have passed: within them, reservations of jobs that do not exist
    /// are returned.
    /// </summary>
    private async Task<double> BudgetAsync(CancellationToken ct)
    {
        await Task.Delay(TimeSpan.FromMinutes(2), TimeProvider.System, ct);
        return (double)(await gateways[0]!.GetAsync("/api/v1/budgets"))["budgets"]![0]!["used"]!;
    }

    /// <summary>From the kill that its last lost attempt fell to, to the begin of the attempt after it.</summary>
    private double? RecoveryOf(JsonNode job, JsonNode attempt, out bool byWorker)
    {
        var ended = attempt["endedAt"]!.GetValue<DateTimeOffset>();
        var worker = (string)attempt["worker"]!;
        byWorker = workerKills.TryGetValue(worker, out var at) && at <= ended && !((string)attempt["reason"]!).Contains("gateway", StringComparison.Ordinal);
        var kill = byWorker ? at : otherKills.Where(k => k <= ended).DefaultIfEmpty().Max();
        return kill == default ? null : Math.Max(0, (job["timings"]!["startedAt"]!.GetValue<DateTimeOffset>() - kill).TotalSeconds);
    }
}
