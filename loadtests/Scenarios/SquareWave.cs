using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Domain.Declarations;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>
/// Traffic that goes on and off, or up and down, as a square wave, with halves that are longer than idle timeout and
/// stable window: the scaler must scale out and in each time. How often it scales in is counted from its own decisions,
/// how many workers came from what the gateway logs.
/// </summary>
public sealed class SquareWave(TimeSpan length) : IAsyncDisposable
{
    private const int Slots = 4;
    private const int ServiceMs = 200;
    private const double HighRate = 50;
    private const double LowRate = 8;

    /// <summary>How many waves the machine carries concurrently.</summary>
    private const int Concurrent = 4;

    private static readonly TimeSpan Half = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan StableWindow = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);

    /// <summary>Delay between concurrent waves, which share two cores.</summary>
    private static readonly TimeSpan Offset = TimeSpan.FromSeconds(7);

    private readonly Wave[] waves =
    [
        .. Enum.GetValues<Scaler>().Select(new ScalerConverter().GetName).SelectMany(name => (Wave[])
        [
            new($"{EndpointName(name)}-on-off", name, 0), new($"{EndpointName(name)}-high-low", name, LowRate),
        ]),
    ];

    private GatewayProcess? gateway;

    private sealed record Wave(string Endpoint, string Scaler, double Low)
    {
        public ConcurrentBag<double> Latencies { get; } = [];

        public ConcurrentDictionary<string, int> Failures { get; } = [];

        /// <summary>What changed something, by its time.</summary>
        public SortedDictionary<DateTimeOffset, JsonNode> Changes { get; } = [];
    }

    public async Task<string> RunAsync(CancellationToken ct)
    {
        gateway = await GatewayProcess.StartAsync(Manifest());
        using var done = new CancellationTokenSource();
        var watch = WatchAsync(done.Token);
        foreach (var concurrent in waves.Chunk(Concurrent))
        {
            await Task.WhenAll(concurrent.Select((wave, i) => DriveAsync(wave, i, ct)));
            // Until the workers of the last wave have stopped.
            await Task.Delay(Half, TimeProvider.System, ct);
        }

        await done.CancelAsync();
        await watch;
        return Report();
    }

    public async ValueTask DisposeAsync()
    {
        if (gateway is not null) await gateway.DisposeAsync();
    }

    private async Task DriveAsync(Wave wave, int number, CancellationToken ct)
    {
        var random = new Random(number);
        await Task.Delay(number * Offset, TimeProvider.System, ct);
        var began = Stopwatch.GetTimestamp();
        var sent = new List<Task>();
        // Arrivals of the high rate; in a low half only some of them come, or none.
        for (var at = TimeSpan.Zero; at < length; at += TimeSpan.FromSeconds(-Math.Log(1 - random.NextDouble()) / HighRate))
        {
            var due = at - Stopwatch.GetElapsedTime(began);
            if (due > TimeSpan.FromMilliseconds(1)) await Task.Delay(due, TimeProvider.System, ct);
            var high = (long)(at / Half) % 2 == 0;
            if (high || random.NextDouble() < wave.Low / HighRate) sent.Add(AskAsync(wave, ct));
        }

        await Task.WhenAll(sent);
    }

    private async Task AskAsync(Wave wave, CancellationToken ct)
    {
        var began = Stopwatch.GetTimestamp();
        try
        {
            using var body = new StringContent($$"""{"id":"w","attempt":1,"input":{"do":"sleep","ms":{{ServiceMs}}} }""");
            using var answer = await gateway!.Client.PostAsync(new Uri($"/e/{wave.Endpoint}/run", UriKind.Relative), body, ct);
            var text = await answer.Content.ReadAsStringAsync(ct);
            if (answer.IsSuccessStatusCode) wave.Latencies.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
            else Fail($"{(int)answer.StatusCode} {text[..Math.Min(200, text.Length)]}");
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            Fail(e.Message);
        }

        void Fail(string why) => wave.Failures.AddOrUpdate(why, 1, (_, n) => n + 1);
    }

    private async Task WatchAsync(CancellationToken ct)
    {
        while (!ct.IsCancellationRequested)
        {
            foreach (var wave in waves)
                foreach (var change in (await gateway!.GetAsync($"/api/v1/endpoints/{wave.Endpoint}/decisions"))["changes"]!.AsArray())
                    wave.Changes[(DateTimeOffset)change!["at"]!] = change;
            await Task.WhenAny(Task.Delay(LookEvery, TimeProvider.System, ct));
        }
    }

    private string Report()
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"""
            For {length.TotalSeconds:0} s {Half.TotalSeconds:0} s of {HighRate:0} requests a second (Poisson; {ServiceMs} ms each)
            and {Half.TotalSeconds:0} s of none, or of {LowRate:0} a second, by turns;
            {Concurrent} waves concurrently, {Offset.TotalSeconds:0} s apart.
            Workers of {Slots} slots, idleTimeout {Idle.TotalSeconds:0} s, stableWindow {StableWindow.TotalSeconds:0} s.
            A scale-in is a decision that drained at least one worker.

            | scaler | wave | requests | failed | workers started | scale-outs | scale-ins | most scale-ins in any {StableWindow.TotalSeconds:0} s | p50 ms | p99 ms |
            |---|---|---|---|---|---|---|---|---|---|

            """);
        foreach (var wave in waves)
        {
            var sorted = wave.Latencies.Order().ToList();
            var started = gateway!.Process.Output.Split('\n').Count(l => l.Contains($"of {wave.Endpoint} started as process", StringComparison.Ordinal));
            var ins = ScaleIns(wave);
            text.Append(CultureInfo.InvariantCulture, $"| {wave.Scaler} | {(wave.Low > 0 ? "high, low" : "on, off")} | {sorted.Count + wave.Failures.Values.Sum()} ");
            var outs = wave.Changes.Values.Count(c => (int)c["start"]! > 0);
            text.Append(CultureInfo.InvariantCulture, $"| **{wave.Failures.Values.Sum()}** | {started} | {outs} | {ins.Count} ");
            text.Append(CultureInfo.InvariantCulture, $"| **{Crowded(ins)}** | {sorted[sorted.Count / 2]:0} | {sorted[(int)(sorted.Count * 0.99)]:0} |\n");
        }

        foreach (var wave in waves)
        {
            text.Append(CultureInfo.InvariantCulture, $"\n`{wave.Endpoint}`, workers wanted at the seconds of its changes: ");
            var first = wave.Changes.Keys.FirstOrDefault();
            text.AppendJoin(", ", wave.Changes.Select(c => Text($"{(c.Key - first).TotalSeconds:0}: {c.Value["current"]} to {c.Value["desired"]}"))).Append('\n');
            foreach (var (why, count) in wave.Failures) text.Append(CultureInfo.InvariantCulture, $"- {count}: {why}\n");
        }

        return text.ToString();
    }

    /// <summary>While the wave lasts: what stays then goes by the idle timeout.</summary>
    private List<DateTimeOffset> ScaleIns(Wave wave) =>
        [.. wave.Changes.Where(c => (int)c.Value["drain"]! > 0 && c.Key - wave.Changes.Keys.First() < length).Select(c => c.Key)];

    /// <summary>The most of them that lie within one stable window, wherever that begins.</summary>
    private static int Crowded(List<DateTimeOffset> times) => times.Select(t => times.Count(u => u >= t && u < t + StableWindow)).DefaultIfEmpty().Max();

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private string Manifest() => $"""
        templates:
          - name: stub
            command: ["{Repository.StubWorker}"]
            concurrency: {Slots}
            readyPath: /ready
            env: {Braced("DOTNET_gcServer: \"0\"")}
            stopGrace: 1s
        endpoints:

        """ + string.Concat(waves.Select(w => $"  - {Braced($"id: {w.Endpoint}, template: stub, scaling: {Braced(Scaling(w))}")}\n"));

    private static string Scaling(Wave wave) => Text(
        $"scaler: {wave.Scaler}, max: 6, idleTimeout: {Idle.TotalSeconds:0}s, stableWindow: {StableWindow.TotalSeconds:0}s, targetWait: 200ms");

    private static string EndpointName(string scaler) => scaler.ToLowerInvariant().Replace('_', '-');

    private static string Braced(string inner) => "{ " + inner + " }";
}
