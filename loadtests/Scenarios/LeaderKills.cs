using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>
/// Runs three gateways on one Redis under a load that needs a known number of workers, and kills the leader (SIGKILL)
/// repeatedly, with the workers that it started. Measured are the processes on the machine and the answers that clients
/// get.
/// </summary>
public sealed class LeaderKills(TimeSpan length) : IAsyncDisposable
{
    private const int Gateways = 3;
    private const int Clients = 12;
    private const int Slots = 4;
    private const int Max = 4;
    private const int ServiceMs = 100;

    /// <summary>REQUEST_COUNT's for so many clients that each wait for their answer.</summary>
    private const int Wanted = Clients / Slots;

    private static readonly TimeSpan KillEvery = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan CountEvery = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan TryAgain = TimeSpan.FromMilliseconds(10);

    private readonly string log = Path.GetTempFileName();
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-leaders-").FullName;
    private readonly RedisFixture redis = new();
    private readonly Member[] members = [.. Enumerable.Range(0, Gateways).Select(_ => new Member())];
    private readonly List<(long At, int Ready)> looks = [];
    private readonly List<long> kills = [];
    private readonly ConcurrentBag<double> latencies = [];
    private readonly ConcurrentDictionary<string, int> failures = [];
    private readonly HashSet<int> seen = [];
    private (int Samples, int Most) processes;
    private volatile int latest;
    private int own;

    /// <summary>One of the gateways, as long as it lives.</summary>
    private sealed class Member
    {
        public volatile GatewayProcess? Gateway;
    }

    public async Task<string> RunAsync(CancellationToken ct)
    {
        await redis.InitializeAsync();
        for (var i = 0; i < Gateways; i++) members[i].Gateway = await StartAsync(i);
        using var done = new CancellationTokenSource();
        var counting = CountAsync(done.Token);
        var load = Enumerable.Range(0, Clients).Select(n => AskAsync(n, done.Token)).ToArray();
        var looking = LookAsync(done.Token);
        while (latest < Wanted) await Task.Delay(LookEvery, TimeProvider.System, ct);
        var starts = new List<Task>();
        var began = Stopwatch.GetTimestamp();
        for (var kill = 1; kill * KillEvery <= length; kill++)
        {
            starts.Add(await KillAsync(ct));
            var next = kill * KillEvery - Stopwatch.GetElapsedTime(began);
            if (next > TimeSpan.Zero) await Task.Delay(next, TimeProvider.System, ct);
        }

        await Task.WhenAll(starts);
        while (latest < Wanted) await Task.Delay(LookEvery, TimeProvider.System, ct);
        await done.CancelAsync();
        await Task.WhenAll([counting, looking, .. load]);
        return Report();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var member in members)
            if (member.Gateway is { } gateway) await gateway.DisposeAsync();
        await redis.DisposeAsync();
        StubLog.Delete(log);
        Directory.Delete(folder, recursive: true);
    }

    private Task<GatewayProcess> StartAsync(int member) => GatewayProcess.StartAsync($$"""
        templates:
          - name: stub
            command: ["{{Repository.StubWorker}}"]
            concurrency: {{Slots}}
            readyPath: /ready
            env: { STUB_LOG: "{{log}}", DOTNET_gcServer: "0" }
            stopGrace: 1s
        endpoints:
          - { id: stub, template: stub, scaling: { scaler: REQUEST_COUNT, max: {{Max}}, idleTimeout: 60s } }
        """, Directory.CreateDirectory(Path.Combine(folder, $"{member}")).FullName, new Dictionary<string, string?>
        {
            ["SLUICE_REDIS"] = redis.ConnectionString,
            ["SLUICE_ADMIN_KEY"] = "one-admin-key-of-all-gateways",
            ["SLUICE_PAYLOADS"] = Path.Combine(folder, "payloads"),
        });

    /// <summary>Kills the leader. The returned task ends when the gateway is started again.</summary>
    private async Task<Task> KillAsync(CancellationToken ct)
    {
        int at;
        while ((at = await LeaderAsync()) < 0) await Task.Delay(LookEvery, TimeProvider.System, ct);
        var victim = members[at].Gateway!;
        members[at].Gateway = null;
        kills.Add(Stopwatch.GetTimestamp());
        victim.Process.Signal(ChildProcess.Sigkill);
        await victim.Process.ExitAsync();
        return AgainAsync();

        async Task AgainAsync()
        {
            await victim.DisposeAsync();
            members[at].Gateway = await StartAsync(at);
        }
    }

    /// <summary>Returns the index of the leader: only it reports its scaling. Negative: there is none.</summary>
    private async Task<int> LeaderAsync()
    {
        for (var i = 0; i < Gateways; i++)
            if (members[i].Gateway is { } gateway
                && await gateway.MetricAsync("sluice_scaling_workers", "state=\"desired\"") > 0)
                return i;
        return -1;
    }

    /// <summary>A client that always has one request under way, at one gateway after another.</summary>
    private async Task AskAsync(int client, CancellationToken ct)
    {
        for (var n = client; !ct.IsCancellationRequested; n++)
        {
            var member = members[n % Gateways];
            if (member.Gateway is not { } gateway) continue;
            var began = Stopwatch.GetTimestamp();
            try
            {
                using var body = new StringContent($$"""{"id":"c{{n}}","attempt":1,"input":{"do":"sleep","ms":{{ServiceMs}}} }""");
                using var answer = await gateway.Client.PostAsync(new Uri("/e/stub/run", UriKind.Relative), body, CancellationToken.None);
                var text = await answer.Content.ReadAsStringAsync(CancellationToken.None);
                if (answer.IsSuccessStatusCode) latencies.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
                else Fail($"{(int)answer.StatusCode} {text[..Math.Min(200, text.Length)]}");
            }
            catch (Exception e) when (e is HttpRequestException or IOException or ObjectDisposedException or TaskCanceledException)
            {
                // Its own connection was to the gateway that was killed.
                if (member.Gateway != gateway) Interlocked.Increment(ref own);
                else Fail(e.Message);
                await Task.Delay(TryAgain, TimeProvider.System, CancellationToken.None);
            }
        }

        void Fail(string why) => failures.AddOrUpdate(why, 1, (_, count) => count + 1);
    }

    /// <summary>Counts processes, as often as it can.</summary>
    private async Task CountAsync(CancellationToken ct)
    {
        while (!ct.IsCancellationRequested)
        {
            var now = StubProcesses.Of(log);
            processes = (processes.Samples + 1, Math.Max(processes.Most, now.Count));
            seen.UnionWith(now);
            await Task.WhenAny(Task.Delay(CountEvery, TimeProvider.System, ct));
        }
    }

    /// <summary>How many workers are ready and alive, by time.</summary>
    private async Task LookAsync(CancellationToken ct)
    {
        for (var n = 0; !ct.IsCancellationRequested; n++)
        {
            if (members[n % Gateways].Gateway is { } gateway)
            {
                try
                {
                    var ready = (await gateway.WorkersAsync("stub", "ready")).Select(w => (int)w["processId"]!).ToList();
                    latest = ready.Intersect(StubProcesses.Of(log)).Count();
                    looks.Add((Stopwatch.GetTimestamp(), latest));
                }
                catch (Exception e) when (e is HttpRequestException or IOException or ObjectDisposedException or TaskCanceledException)
                {
                    // It was killed after the request was sent.
                }
            }

            await Task.WhenAny(Task.Delay(LookEvery, TimeProvider.System, ct));
        }
    }

    private string Report()
    {
        // From each kill until as many as are right were seen, ready and alive; the kills in between notwithstanding.
        var seconds = kills.Select(k => Stopwatch.GetElapsedTime(k, looks.First(l => l.At > k && l.Ready >= Wanted).At).TotalSeconds).ToList();
        var sorted = seconds.Order().ToList();
        var spread = string.Create(CultureInfo.InvariantCulture, $"{sorted[0]:0.0}, {sorted[sorted.Count / 2]:0.0}, **{sorted[^1]:0.0}**");
        var answers = latencies.Order().ToList();
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"""
            {Gateways} gateways, {kills.Count} kills of the leader (with the workers that it had started) in {length.TotalSeconds:0} s.
            {Clients} clients that always have one request of {ServiceMs} ms under way; REQUEST_COUNT makes that {Wanted} workers of {Slots} slots, the maximum is {Max}.

            | what | seen |
            |---|---|
            | s from a kill until {Wanted} workers were ready again (other kills fall into that): least, median, most | {spread} |
            | kills after which that took 10 s or longer | **{seconds.Count(s => s >= 10)}** |
            | worker processes alive at most, in {processes.Samples} looks | **{processes.Most}** (maximum {Max}) |
            | workers that lived one after another | {seen.Count} |
            | requests answered | {answers.Count} |
            | failed on the killed gateway's own connections | {own} |
            | **failed otherwise** | **{failures.Values.Sum()}** |
            | answers, ms: p50, p99, slowest | {answers[answers.Count / 2]:0}, {answers[(int)(answers.Count * 0.99)]:0}, {answers[^1]:0} |

            Each kill, s: {string.Join(", ", seconds.Select(s => s.ToString("0.0", CultureInfo.InvariantCulture)))}

            """);
        foreach (var (why, count) in failures) text.Append(CultureInfo.InvariantCulture, $"- {count}: {why}\n");
        return text.ToString();
    }
}
