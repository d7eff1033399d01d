using System.Diagnostics;
using System.Globalization;
using System.Text;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>
/// Runs hundreds of endpoints without requests, two gateways, and a Redis that is a few milliseconds away. Every few
/// seconds one endpoint gets a request at zero workers, and its worker becomes idle again. Measured are the changes of
/// the leadership, the time of a start from zero, and the time until an idle worker has stopped.
/// </summary>
public sealed class IdleEndpoints(TimeSpan length, int endpoints) : IAsyncDisposable
{
    private const string Epoch = "sluice:{leader}:epoch";
    private const int Pings = 200;

    private static readonly TimeSpan OneWay = TimeSpan.FromMilliseconds(2.5);
    private static readonly TimeSpan AskEvery = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan IdleTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan GoneWithin = TimeSpan.FromSeconds(60);

    private readonly string log = Path.GetTempFileName();
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-idle-").FullName;
    private readonly RedisFixture redis = new();
    private readonly List<FaultProxy> proxies = [];
    private readonly List<GatewayProcess> gateways = [];
    private readonly List<double> starts = [];
    private readonly List<double> stops = [];
    private readonly List<string> failures = [];

    public async Task<string> RunAsync(CancellationToken ct)
    {
        await redis.InitializeAsync();
        for (var i = 0; i < 2; i++) gateways.Add(await StartAsync());
        var db = redis.Store.Database;
        while (!await db.KeyExistsAsync(Epoch)) await Task.Delay(LookEvery, TimeProvider.System, ct);
        using var done = new CancellationTokenSource();
        var counting = CountAsync(db, done.Token);
        var began = Stopwatch.GetTimestamp();
        var used = gateways.ConvertAll(Cpu);
        for (var n = 0; Stopwatch.GetElapsedTime(began) < length; n++)
        {
            await AskAsync(n, ct);
            var next = (n + 1) * AskEvery - Stopwatch.GetElapsedTime(began);
            if (next > TimeSpan.Zero) await Task.Delay(next, TimeProvider.System, ct);
        }

        var took = Stopwatch.GetElapsedTime(began);
        var cores = gateways.Select((g, i) => (Cpu(g) - used[i]) / took).ToList();
        await done.CancelAsync();
        return Report(took, await counting, await RoundTripAsync(), cores);
    }

    /// <summary>Counts changes of the epoch: each new leader has another one.</summary>
    private static async Task<int> CountAsync(StackExchange.Redis.IDatabase db, CancellationToken ct)
    {
        var (changes, epoch) = (0, await db.StringGetAsync(Epoch));
        while (!ct.IsCancellationRequested)
        {
            await Task.WhenAny(Task.Delay(LookEvery, TimeProvider.System, ct));
            var now = await db.StringGetAsync(Epoch);
            if (now != epoch) (changes, epoch) = (changes + 1, now);
        }

        return changes;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var gateway in gateways) await gateway.DisposeAsync();
        foreach (var proxy in proxies) proxy.Dispose();
        await redis.DisposeAsync();
        StubLog.Delete(log);
        Directory.Delete(folder, recursive: true);
    }

    private async Task<GatewayProcess> StartAsync()
    {
        var proxy = new FaultProxy(redis.Port, OneWay);
        proxies.Add(proxy);
        var manifest = new StringBuilder($$"""
            templates:
              - name: stub
                command: ["{{Repository.StubWorker}}"]
                readyPath: /ready
                env: { STUB_LOG: "{{log}}", DOTNET_gcServer: "0" }
                stopGrace: 1s
            endpoints:

            """);
        for (var n = 0; n < endpoints; n++)
            manifest.Append(CultureInfo.InvariantCulture, $"  - {{ id: {Name(n)}, template: stub, scaling: {{ max: 1, idleTimeout: {IdleTimeout.TotalSeconds}s }} }}\n");
        return await GatewayProcess.StartAsync(manifest.ToString(), environment: new Dictionary<string, string?>
        {
            ["SLUICE_REDIS"] = $"127.0.0.1:{proxy.Port},password={RedisFixture.Password}",
            ["SLUICE_ADMIN_KEY"] = "one-admin-key-of-all-gateways",
            ["SLUICE_PAYLOADS"] = folder,
        });
    }

    private static string Name(int n) => string.Create(CultureInfo.InvariantCulture, $"idle{n}");

    /// <summary>
    /// Asks an endpoint that has no worker, at one gateway after the other, and waits until its worker is gone again.
    /// </summary>
    private async Task AskAsync(int n, CancellationToken ct)
    {
        var endpoint = Name(n * 37 % endpoints);
        var began = Stopwatch.GetTimestamp();
        using var body = new StringContent("""{"id":"r","attempt":1,"input":1}""");
        using var answer = await gateways[n % gateways.Count].Client.PostAsync(new Uri($"/e/{endpoint}/run", UriKind.Relative), body, ct);
        if (!answer.IsSuccessStatusCode)
        {
            failures.Add($"{endpoint}: {(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync(ct)}");
            return;
        }

        starts.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
        began = Stopwatch.GetTimestamp();
        while (StubProcesses.Of(log).Count > 0 && Stopwatch.GetElapsedTime(began) < GoneWithin) await Task.Delay(LookEvery, TimeProvider.System, ct);
        var took = Stopwatch.GetElapsedTime(began);
        if (took < GoneWithin) stops.Add(took.TotalSeconds);
        else failures.Add($"{endpoint}: its worker was not stopped within {GoneWithin.TotalSeconds:0} s");
    }

    private static TimeSpan Cpu(GatewayProcess gateway)
    {
        using var process = Process.GetProcessById(gateway.Process.Id);
        return process.TotalProcessorTime;
    }

    /// <summary>What a command takes through a proxy, ms.</summary>
    private async Task<List<double>> RoundTripAsync()
    {
        using var connection = await StackExchange.Redis.ConnectionMultiplexer.ConnectAsync($"127.0.0.1:{proxies[0].Port},password={RedisFixture.Password}");
        var took = new List<double>();
        for (var i = 0; i < Pings; i++) took.Add((await connection.GetDatabase().PingAsync()).TotalMilliseconds);
        return took;
    }

    private string Report(TimeSpan took, int changes, List<double> pings, List<double> cores)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"""
            {endpoints} endpoints at zero, 2 gateways, {took.TotalSeconds:0} s.
            Redis is behind a proxy that delays each direction by {OneWay.TotalMilliseconds} ms or a little more.
            Every {AskEvery.TotalSeconds:0} s one endpoint is asked once, at one gateway after the other; its idleTimeout is {IdleTimeout.TotalSeconds:0} s.

            | what | seen |
            |---|---|
            | a command's round trip to Redis, ms: median, p99 | {At(pings, 0.5):0.0}, {At(pings, 0.99):0.0} |
            | **changes of the leadership** | **{changes}** |
            | starts from zero, ms to the first answer: count, median, p95, slowest | {starts.Count}: {At(starts, 0.5):0}, {At(starts, 0.95):0}, **{At(starts, 1):0}** |
            | an idle worker's process is gone, s after its answer: count, median, slowest | {stops.Count}: {At(stops, 0.5):0.0}, **{At(stops, 1):0.0}** |
            | requests that failed, workers that were not stopped | **{failures.Count}** |
            | CPU of each gateway, cores | {string.Join(", ", cores.Select(c => c.ToString("0.00", CultureInfo.InvariantCulture)))} |

            """);
        foreach (var failure in failures) text.Append(CultureInfo.InvariantCulture, $"- {failure}\n");
        return text.ToString();
    }

    private static double At(List<double> values, double part) => values.Count == 0 ? double.NaN : values.Order().ElementAt((int)((values.Count - 1) * part));
}
