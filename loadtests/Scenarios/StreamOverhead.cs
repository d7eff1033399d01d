using System.Diagnostics;
using System.Globalization;
using System.Text;
using HdrHistogram;
using Sluice.LoadGenerator;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>
/// Measures what the gateway adds to streams of <c>/v1/chat/completions</c>, beside a worker alone that sends tokens on
/// a clock: the time to the first token, the processor time and the delay of a token, and the memory of a stream. The
/// gateway is measured with a worker whose streams have no marks, as those of other programs, and with one whose
/// streams have them, as those of the built-in worker.
/// </summary>
public static class StreamOverhead
{
    private const int FirstTokens = 400, WarmUp = 200, IntervalMs = 500;

    private static readonly string[] Names = ["worker alone", "gateway", "gateway, stream with marks"];

    private static readonly TimeSpan Hold = TimeSpan.FromSeconds(10), Spread = TimeSpan.FromSeconds(5);

    /// <summary>Runs the scenario, and returns its report.</summary>
    /// <param name="rounds">Number of rounds. Each has its own processes.</param>
    /// <param name="streams">Number of concurrent streams.</param>
    /// <param name="ct">Ends the run.</param>
    public static async Task<string> RunAsync(int rounds, int streams, CancellationToken ct)
    {
        var all = new List<Round>();
        for (var round = 0; round < rounds; round++)
        {
            all.Add(await MeasureAsync(round, streams, ct));
            await Console.Error.WriteLineAsync($"round {round + 1} of {rounds}: done");
        }

        return Report(all, streams);
    }

    private static async Task<Round> MeasureAsync(int round, int streams, CancellationToken ct)
    {
        var port = FreePort.Find();
        await using var worker = new ChildProcess("/usr/bin/setsid", [GatewayOverhead.Program("NoopWorker")],
            new Dictionary<string, string?> { ["HTTP1_PORT"] = port.ToString(CultureInfo.InvariantCulture) });
        await worker.LineAsync("ready");
        await using var gateway = await GatewayProcess.StartAsync($$"""
            templates:
              - name: noop
                command: ["{{GatewayOverhead.Program("NoopWorker")}}"]
                readyPath: /ready
                concurrency: 10000
            endpoints:
              - { id: noop, template: noop, scaling: { min: 1, max: 1 } }
            """);
        await gateway.Process.LineAsync("is ready after");
        var first = await FirstTokensAsync(round, i => TargetOf(i, port, gateway, tokens: 2, interval: 0), ct);
        var many = new Many[Names.Length];
        var last = (int)((2 * Spread.TotalMilliseconds) + Hold.TotalMilliseconds) / IntervalMs;
        // The gateway's memory grows with the first of its two runs, so only that one shows it.
        foreach (var i in round % 2 == 0 ? new[] { 1, 2, 0 } : [2, 0, 1])
            many[i] = await ManyAsync(
                TargetOf(i, port, gateway, last, IntervalMs), streams, i == 0 ? null : gateway.Process.Id, ct);
        return new Round(first, many, round % 2 == 0 ? 1 : 2);
    }

    private static Target TargetOf(int which, int port, GatewayProcess gateway, int tokens, int interval)
    {
        var marks = which == 2 ? ",\"marks\":true" : "";
        var body = $$"""
            {"model":"noop","messages":[{"role":"user","content":"Hello"}],"stream":true,
            "max_tokens":{{tokens}},"interval_ms":{{interval}}{{marks}}}
            """;
        return which == 0
            ? Target.Post(new Uri($"http://127.0.0.1:{port}/v1/chat/completions"), body)
            : Target.Post(new Uri(gateway.Url, "/v1/chat/completions"), body, gateway.Key);
    }

    /// <summary>Sends single requests to each target in turn, and returns the times to the first token.</summary>
    private static async Task<double[][]> FirstTokensAsync(int round, Func<int, Target> target, CancellationToken ct)
    {
        var connections = Names.Select((_, i) => new RawConnection(target(i))).ToArray();
        var times = Names.Select(_ => new List<double>()).ToArray();
        try
        {
            for (var n = -WarmUp; n < FirstTokens; n++)
                for (var k = 0; k < Names.Length; k++)
                {
                    var i = (n + round + k + WarmUp) % Names.Length;
                    var (began, first) = (Stopwatch.GetTimestamp(), TimeSpan.Zero);
                    connections[i].FirstByte = () => first = Stopwatch.GetElapsedTime(began);
                    var status = await connections[i].AskAsync(ct);
                    if (status != 200) throw new InvalidOperationException($"{Names[i]} answered {status}");
                    if (n >= 0) times[i].Add(first.TotalMicroseconds);
                }
        }
        finally
        {
            foreach (var connection in connections) connection.Dispose();
        }

        return [.. times.Select(t => t.Order().ToArray())];
    }

    private static async Task<Many> ManyAsync(Target target, int streams, int? gateway, CancellationToken ct)
    {
        var before = gateway is { } id ? ResidentKiB(id) : 0;
        using var swarm = new StreamSwarm();
        await swarm.OpenAsync(target, streams, Spread, ct);
        swarm.Record();
        var (tokens, cpu, began) = (swarm.Tokens, CpuOf(gateway), Stopwatch.GetTimestamp());
        await Task.Delay(Hold, TimeProvider.System, ct);
        var (received, used, took) =
            (swarm.Tokens - tokens, CpuOf(gateway) - cpu, Stopwatch.GetElapsedTime(began).TotalSeconds);
        var memory = gateway is { } process ? (ResidentKiB(process) - before) / streams : 0;
        await swarm.EndAsync();
        return new Many(swarm.Delays, used / received, received / took, memory, swarm.Failed);
    }

    private static double CpuOf(int? process) => process is { } id ? ProcessTime.Microseconds(id) : 0;

    private static double ResidentKiB(int process) => double.Parse(
        File.ReadLines($"/proc/{process}/status").First(l => l.StartsWith("VmRSS:", StringComparison.Ordinal))
            .Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);

    private static string Report(List<Round> rounds, int streams)
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"""
            {rounds.Count} rounds with new processes; medians with their range. The first token: {FirstTokens} requests
            to each in turn, one at a time. Then {streams} streams at the same time, each with a token every
            {IntervalMs} ms, for {Hold.TotalSeconds} s. A token's delay is the time from its write in the worker to its
            read in the client. Load, worker and gateway share the cores. Memory is the growth of the resident memory
            of a gateway that has not had as many streams before.
            """);
        text.AppendLine().AppendLine(CultureInfo.InvariantCulture, $"| | {string.Join(" | ", Names)} |")
            .AppendLine("|---|---|---|---|");
        Row("first token, p50, us", (r, i) => Quantile(r.First[i], 0.5));
        Row("added p50, us", (r, i) => Quantile(r.First[i], 0.5) - Quantile(r.First[0], 0.5), from: 1);
        Row("first token, p99, us", (r, i) => Quantile(r.First[i], 0.99));
        Row($"{streams} streams: tokens/s", (r, i) => r.Many[i].Rate);
        Row("delay of a token, p50, us", (r, i) => r.Many[i].Delays.Quantile(0.5));
        Row("delay of a token, p99, us", (r, i) => r.Many[i].Delays.Quantile(0.99));
        Row("processor time of the gateway for a token, us", (r, i) => r.Many[i].CpuOfToken, from: 1);
        Row("memory of the gateway for a stream, KiB", (r, i) => r.MemoryOf == i ? r.Many[i].KiB : double.NaN, from: 1);
        Row("streams that failed", (r, i) => r.Many[i].Failed);
        return text.ToString();

        void Row(string what, Func<Round, int, double> value, int from = 0) => text.AppendLine(
            CultureInfo.InvariantCulture,
            $"| {what} | {string.Join(" | ", Names.Select((_, i) => i < from ? "" : Cell(r => value(r, i))))} |");

        string Cell(Func<Round, double> value)
        {
            var all = rounds.Select(value).Where(v => !double.IsNaN(v)).Order().ToList();
            return all.Count == 0 ? "" : string.Create(
                CultureInfo.InvariantCulture, $"{all[all.Count / 2]:0.#} ({all[0]:0.#}-{all[^1]:0.#})");
        }
    }

    private static double Quantile(double[] sorted, double share) =>
        sorted[(int)Math.Min(sorted.Length - 1, share * sorted.Length)];

    /// <summary>What a round measured.</summary>
    /// <param name="First">Times to the first token of each target, sorted.</param>
    /// <param name="Many">The concurrent streams of each target.</param>
    /// <param name="MemoryOf">The target that had the first concurrent streams of the gateway.</param>
    private sealed record Round(double[][] First, Many[] Many, int MemoryOf);

    private sealed record Many(LongHistogram Delays, double CpuOfToken, double Rate, double KiB, int Failed);
}
