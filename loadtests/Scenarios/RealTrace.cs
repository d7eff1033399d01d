using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Sluice.Domain.Declarations;
using Sluice.Simulator;
using Sluice.Simulator.Scalers;
using Sluice.Simulator.Traces;
using Sluice.Testing;
using Trace = Sluice.Simulator.Traces.Trace;

namespace Sluice.Scenarios;

/// <summary>
/// Checks the simulator against the product: a part of the Azure trace, compressed, through a real gateway with real
/// worker processes, and the same requests through the simulator, with the measured times of requests and starts.
/// Compared are waits and worker-seconds.
/// </summary>
public sealed partial class RealTrace : IAsyncDisposable
{
    private const string Endpoint = "stub";
    private const int Slots = 2;

    /// <summary>How often the workers are looked at, to see when each started.</summary>
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(200);

    private readonly ConcurrentBag<Answer> answers = [];
    private readonly Dictionary<string, double> starts = [];
    private readonly ScalePolicy policy;
    private readonly Trace trace;
    private readonly double factor;
    private GatewayProcess? gateway;

    /// <param name="length">Of the trace's beginning that is taken, uncompressed.</param>
    /// <param name="factor">How much faster it is replayed.</param>
    /// <param name="max">Workers at most.</param>
    public RealTrace(TimeSpan length, double factor, int max)
    {
        this.factor = factor;
        var azure = AzureTrace.Read(Path.Combine(AppContext.BaseDirectory, "azure-llm-2023-code.csv"));
        trace = AzureTrace.Compress(azure with { Length = length, Requests = [.. azure.Requests.TakeWhile(r => r.At < length)] }, factor);
        policy = new ScalePolicy { Scaler = Scaler.Slo, Max = max, IdleTimeout = TimeSpan.FromSeconds(4), TargetWait = TimeSpan.FromMilliseconds(200) };
    }

    private sealed record Answer(int Request, double Wait, double Service, bool Ok);

    public async Task<string> RunAsync(CancellationToken ct)
    {
        gateway = await GatewayProcess.StartAsync(Manifest());
        using var done = new CancellationTokenSource();
        var watch = WatchAsync(done.Token);
        var began = Stopwatch.GetTimestamp();
        await ReplayAsync(ct);
        // Until what is idle has gone, as in the simulator.
        await Task.Delay(Later(began), TimeProvider.System, ct);
        var used = await WorkerSecondsAsync();
        await done.CancelAsync();
        await watch;
        return Report(used);
    }

    public async ValueTask DisposeAsync()
    {
        if (gateway is not null) await gateway.DisposeAsync();
    }

    private TimeSpan Tail => policy.IdleTimeout + TimeSpan.FromSeconds(3);

    private TimeSpan Later(long began)
    {
        var left = trace.Length + Tail - Stopwatch.GetElapsedTime(began);
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }

    private async Task ReplayAsync(CancellationToken ct)
    {
        var began = Stopwatch.GetTimestamp();
        var sent = new List<Task>();
        for (var i = 0; i < trace.Requests.Count; i++)
        {
            var due = trace.Requests[i].At - Stopwatch.GetElapsedTime(began);
            if (due > TimeSpan.FromMilliseconds(1)) await Task.Delay(due, TimeProvider.System, ct);
            sent.Add(SendAsync(i, ct));
        }

        await Task.WhenAll(sent);
    }

    private async Task SendAsync(int request, CancellationToken ct)
    {
        var ms = (int)Math.Round(trace.Requests[request].Service.TotalMilliseconds);
        using var body = new StringContent(string.Create(CultureInfo.InvariantCulture,
            $$"""{"id":"{{request}}","attempt":1,"input":{"do":"sleep","ms":{{ms}} } }"""), Encoding.UTF8, "application/json");
        var sent = Stopwatch.GetTimestamp();
        using var answer = await gateway!.Client.PostAsync(new Uri($"/e/{Endpoint}/run", UriKind.Relative), body, ct);
        var took = Stopwatch.GetElapsedTime(sent).TotalSeconds;
        var timing = answer.Headers.TryGetValues("Server-Timing", out var values) ? string.Join(',', values) : "";
        var wait = Part(timing, "queue") + Part(timing, "cold");
        // Not the worker's own part of the header, which ends with its first byte: a slot is held until the whole
        // answer has gone through.
        answers.Add(new Answer(request, wait, Math.Max(0, took - wait), answer.IsSuccessStatusCode));
    }

    /// <summary>Gathers how long each worker took to start.</summary>
    private async Task WatchAsync(CancellationToken ct)
    {
        while (!ct.IsCancellationRequested)
        {
            foreach (var worker in await gateway!.WorkersAsync(Endpoint))
                if (worker["readyAt"] is JsonValue ready)
                    starts[(string)worker["id"]!] = ((DateTimeOffset)ready - (DateTimeOffset)worker["startedAt"]!).TotalSeconds;
            await Task.WhenAny(Task.Delay(LookEvery, TimeProvider.System, ct));
        }
    }

    /// <summary>As the product itself counts them for its spend limit.</summary>
    private async Task<double> WorkerSecondsAsync()
    {
        var decisions = await gateway!.GetAsync($"/api/v1/endpoints/{Endpoint}/decisions");
        return (double)decisions["latest"]!["inputs"]!["workerTimeToday"]!;
    }

    private string Report(double used)
    {
        var waits = answers.Where(a => a.Ok).Select(a => a.Wait).Order().ToList();
        var service = answers.ToDictionary(a => a.Request, a => a.Service);
        var mean = starts.Values.DefaultIfEmpty(1).Average();
        var logs = starts.Values.Select(s => Math.Log(s)).ToList();
        var sigma = logs.Count > 1 ? Math.Sqrt(logs.Sum(l => Math.Pow(l - logs.Average(), 2)) / (logs.Count - 1)) : 0;
        var measured = trace with { Requests = [.. trace.Requests.Select((r, i) => r with { Service = TimeSpan.FromSeconds(service[i]) })] };
        var machine = new SimOptions { SlotsPerWorker = Slots, Start = new LogNormal(mean, sigma), Target = policy.TargetWait };
        // Start times are drawn at random: the middle of several runs.
        var runs = Enumerable.Range(1, 15).Select(seed => Simulate(measured, machine with { Seed = seed })).ToList();
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"""
            {trace.Requests.Count:n0} requests of the Azure trace's first {trace.Length.TotalMinutes * factor:0} minutes in {trace.Length.TotalSeconds:0} s
            ({factor:0} times faster, service times too), scaler {policy.Scaler}, at most {policy.Max} workers
            of {Slots} slots. {answers.Count(a => !a.Ok)} failed. The simulator used the
            measured service times and starts ({starts.Count} seen, {mean:0.00} s on average, standard deviation of the logarithm {sigma:0.00}); its figures are the
            medians of {runs.Count} runs with new random start times, with their range. Service is an answer's whole time less its wait.

            | | real | simulated | ratio |
            |---|---|---|---|

            """);
        Row("wait p50, ms", 1000 * Quantile(waits, 0.5), o => 1000 * o.Wait(0.5));
        Row("wait p99, ms", 1000 * Quantile(waits, 0.99), o => 1000 * o.Wait(0.99));
        Row("mean wait, ms", 1000 * waits.Average(), o => 1000 * o.MeanWait);
        Row("worker-seconds", used, o => o.WorkerSeconds);
        Row("workers started", starts.Count, o => o.Starts);
        return text.ToString();

        void Row(string name, double real, Func<Outcome, double> of)
        {
            var all = runs.Select(of).Order().ToList();
            var middle = all[all.Count / 2];
            var ratio = middle > 0 ? real / middle : double.NaN;
            text.AppendLine(CultureInfo.InvariantCulture, $"| {name} | {real:0.0} | {middle:0.0} ({all[0]:0.0}-{all[^1]:0.0}) | {ratio:0.00} |");
        }
    }

    private Outcome Simulate(Trace measured, SimOptions machine)
    {
        var endpoint = new SimEndpoint(Endpoint, measured, new SluiceScaler(policy, "Sluice"), machine);
        new Simulation([endpoint]).Run(measured.Length + Tail);
        return endpoint.Outcome;
    }

    private static double Quantile(List<double> sorted, double q) => sorted[Math.Clamp((int)Math.Ceiling(q * sorted.Count) - 1, 0, sorted.Count - 1)];

    /// <summary>One part of a Server-Timing header, in seconds.</summary>
    private static double Part(string timing, string name) =>
        Duration().Matches(timing).FirstOrDefault(m => m.Groups[1].Value == name) is { } match
            ? double.Parse(match.Groups[2].ValueSpan, CultureInfo.InvariantCulture) / 1000 : 0;

    private string Scaling => string.Create(CultureInfo.InvariantCulture,
        $"scaler: SLO, max: {policy.Max}, idleTimeout: {policy.IdleTimeout.TotalSeconds:0}s, targetWait: {policy.TargetWait.TotalMilliseconds:0}ms");

    private string Manifest() => string.Create(CultureInfo.InvariantCulture, $$"""
        templates:
          - name: stub
            command: ["{{Repository.StubWorker}}"]
            readyPath: /ready
            concurrency: {{Slots}}
        endpoints:
          - id: {{Endpoint}}
            template: stub
            scaling: { {{Scaling}} }
            queue: { maxDepth: 100000, timeout: 5m }
        """);

    [GeneratedRegex(@"(\w+);dur=([0-9.]+)")]
    private static partial Regex Duration();
}
