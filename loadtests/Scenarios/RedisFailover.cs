using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>
/// Submits jobs and sends requests to two gateways while the primary of Redis is killed (SIGKILL) and Sentinels promote
/// a replica, several times. Each killed server returns on its data. A ledger of the accepted jobs is checked at the
/// end: with <paramref name="waitReplicas"/> of 1, each has one final result.
/// </summary>
/// <param name="failovers">The number of failovers.</param>
/// <param name="waitReplicas">SLUICE_REDIS_WAIT_REPLICAS of the gateways.</param>
/// <param name="seed">Decides how long after a failover the next one starts.</param>
public sealed class RedisFailover(int failovers, int waitReplicas, int seed) : IAsyncDisposable
{
    private const int Submitters = 8;
    private const int Requesters = 4;

    /// <summary>The jobs that are accepted between two failovers at least.</summary>
    private const int Each = 300;

    private static readonly TimeSpan TryAgain = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan Settle = TimeSpan.FromMinutes(2);

    private readonly string log = Path.GetTempFileName();
    private readonly string payloads = Directory.CreateTempSubdirectory("sluice-payloads-").FullName;
    private readonly Random random = new(seed);
    private readonly GatewayProcess[] gateways = new GatewayProcess[2];
    private readonly ConcurrentDictionary<string, int> ledger = [];
    private readonly ConcurrentDictionary<int, int> requests = [];
    private readonly List<double> promoted = [];
    private readonly List<double> acceptedAgain = [];
    private ReplicatedRedis? redis;
    private int submitted;
    private int refused;

    public async Task<string> RunAsync(CancellationToken ct)
    {
        Console.Error.WriteLine($"seed {seed}: {failovers} failovers, SLUICE_REDIS_WAIT_REPLICAS={waitReplicas}");
        redis = await ReplicatedRedis.StartAsync(replicas: 2, sentinels: 3);
        for (var i = 0; i < gateways.Length; i++) gateways[i] = await StartAsync();
        await new Jobs(gateways[0]).RunSyncAsync(1);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var began = Stopwatch.GetTimestamp();
        var load = Task.WhenAll([
            .. Enumerable.Range(0, Submitters).Select(_ => SubmitAsync(stop.Token)),
            .. Enumerable.Range(0, Requesters).Select(n => SendRequestsAsync(n, stop.Token)),
        ]);
        for (var failover = 0; failover < failovers; failover++)
        {
            await AcceptAsync(Each + random.Next(Each), load);
            var since = Stopwatch.GetTimestamp();
            var failed = await redis.KillPrimaryAsync();
            await redis.PromotedAsync(failed);
            promoted.Add(Stopwatch.GetElapsedTime(since).TotalSeconds);
            await AcceptAsync(Submitters + 1, load);
            acceptedAgain.Add(Stopwatch.GetElapsedTime(since).TotalSeconds);
            await ReplicatedRedis.ReturnAsync(failed);
        }

        await AcceptAsync(Each, load);
        await stop.CancelAsync();
        await load;
        var took = Stopwatch.GetElapsedTime(began);
        await QuietAsync(ct);
        return await ReportAsync(took, ct);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var gateway in gateways)
            if (gateway is not null) await gateway.DisposeAsync();
        if (redis is not null) await redis.DisposeAsync();
        StubLog.Delete(log);
        Directory.Delete(payloads, recursive: true);
    }

    private Task<GatewayProcess> StartAsync() => GatewayProcess.StartAsync(
        Jobs.Manifest(log, max: 2, concurrency: 8, more: "jobs: { maxRuns: 100 }", scaling: ", min: 2"),
        environment: new Dictionary<string, string?>
        {
            ["SLUICE_REDIS"] = redis!.ConnectionString,
            ["SLUICE_REDIS_WAIT_REPLICAS"] = waitReplicas.ToString(CultureInfo.InvariantCulture),
            ["SLUICE_ADMIN_KEY"] = "one-admin-key-of-all-gateways",
            ["SLUICE_PAYLOADS"] = payloads,
            ["SLUICE_POLL_RATE"] = "0",
        });

    private async Task AcceptAsync(int more, Task load)
    {
        var until = ledger.Count + more;
        await Eventually.HoldsAsync(
            async () =>
            {
                if (load.IsFaulted) await load;
                return ledger.Count >= until;
            },
            "jobs are accepted");
    }

    /// <summary>
    /// Submits one job after another until each is accepted, with an Idempotency-Key, at both gateways in turn.
    /// </summary>
    private async Task SubmitAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            var n = Interlocked.Increment(ref submitted);
            for (var at = n % 2; !stop.IsCancellationRequested; at = 1 - at)
            {
                using var request = new HttpRequestMessage(HttpMethod.Post, "/v2/stub/run")
                {
                    Content = new StringContent(
                        $$$"""{"input":{"do":"sleep","ms":{{{n % 10}}},"n":{{{n}}}}}"""),
                };
                request.Headers.Add("Idempotency-Key", $"{seed}-{n}");
                using var answer = await gateways[at].Client.SendAsync(request, CancellationToken.None);
                if (answer.IsSuccessStatusCode)
                {
                    var text = await answer.Content.ReadAsStringAsync(CancellationToken.None);
                    var id = (string)JsonNode.Parse(text)!["id"]!;
                    if (!ledger.TryAdd(id, n)) throw new InvalidOperationException($"two submissions got the job {id}");
                    break;
                }

                Interlocked.Increment(ref refused);
                await Task.Delay(TryAgain, TimeProvider.System, CancellationToken.None);
            }
        }
    }

    /// <summary>Sends requests that are not jobs, and counts their status codes.</summary>
    private async Task SendRequestsAsync(int client, CancellationToken stop)
    {
        for (var n = client; !stop.IsCancellationRequested; n++)
        {
            using var body = new StringContent(
                $$$"""{"id":"direct-{{{client}}}-{{{n}}}","attempt":1,"input":{"do":"sleep","ms":5}}""");
            using var answer = await gateways[n % 2].Client.PostAsync(
                new Uri("/e/stub/run", UriKind.Relative), body, CancellationToken.None);
            requests.AddOrUpdate((int)answer.StatusCode, 1, (_, count) => count + 1);
            await Task.Delay(TryAgain, TimeProvider.System, CancellationToken.None);
        }
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
                var counts = (await gateways[0].GetAsync("/v2/stub/health"))["jobs"]!;
                var check = await gateways[0].GetAsync("/api/v1/admin/check");
                if ((int)counts["inQueue"]! + (int)counts["inProgress"]! == 0 && (bool)check["ok"]!) return;
                seen = $"{counts} {check}";
            }
            catch (HttpRequestException e)
            {
                // A loaded machine can cause another failover.
                seen = e.Message;
            }

            if (limit.IsCancellationRequested) throw new TimeoutException($"not quiet after {Settle}: {seen}");
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, ct);
        }
    }

    private async Task<string> ReportAsync(TimeSpan took, CancellationToken ct)
    {
        var states = new ConcurrentDictionary<string, int>();
        var (lost, wrong) = (0, 0);
        await Parallel.ForEachAsync(ledger, ct, async (entry, token) =>
        {
            using var answer = await gateways[entry.Value % 2].Client.GetAsync(
                new Uri($"/v2/stub/status/{entry.Key}", UriKind.Relative), token);
            if (!answer.IsSuccessStatusCode)
            {
                Interlocked.Increment(ref lost);
                return;
            }

            var job = JsonNode.Parse(await answer.Content.ReadAsStringAsync(token))!;
            states.AddOrUpdate((string)job["status"]!, 1, (_, n) => n + 1);
            if ((string?)job["status"] == "COMPLETED" && (int)job["output"]!["n"]! != entry.Value)
                Interlocked.Increment(ref wrong);
        });

        var lines = StubLog.Lines(log);
        var begun = lines.Count(l => l.StartsWith("begin ", StringComparison.Ordinal) && !IsRequest(l));
        var again = lines.Where(l => l.StartsWith("end ", StringComparison.Ordinal) && !IsRequest(l))
            .GroupBy(l => l.Split(' ')[1]).Count(g => g.Count() > 1);
        var final = states.Where(s => Jobs.Final.Contains(s.Key)).Sum(s => s.Value);
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"## SLUICE_REDIS_WAIT_REPLICAS={waitReplicas}").AppendLine();
        text.AppendLine(CultureInfo.InvariantCulture, $"Seed {seed}, {took.TotalSeconds:0} s.").AppendLine();
        text.AppendLine("| what | seen |").AppendLine("|---|---|");
        Row("failovers (primary killed, a replica promoted, the old primary returned on its data)", $"{failovers}");
        Row("jobs accepted", $"{ledger.Count} ({refused} tries failed)");
        Row("**lost** (accepted, and not to be found)", $"**{lost}**");
        Row("final states", string.Join(", ", states.Select(s => $"{s.Value} {s.Key}")));
        Row("**other than one final state**", $"**{ledger.Count - lost - final}**");
        Row("outputs of another job", $"{wrong}");
        Row("executions of jobs begun; jobs that workers ended more than once", $"{begun}; {again}");
        Row("requests by status", string.Join(", ", requests.OrderBy(r => r.Key).Select(r => $"{r.Value} x {r.Key}")));
        Row("from the kill to a promoted replica", FaultMatrix.Spread(promoted));
        Row("from the kill to accepted jobs", FaultMatrix.Spread(acceptedAgain));
        Row("invariant checker, slots included", "nothing found");
        return text.ToString();

        void Row(string what, string seen) => text.AppendLine(CultureInfo.InvariantCulture, $"| {what} | {seen} |");

        static bool IsRequest(string line) => line.Split(' ')[1].StartsWith("direct-", StringComparison.Ordinal);
    }
}
