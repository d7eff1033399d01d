using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Sluice.LoadGenerator;
using Sluice.Testing;
using Sluice.Worker.Tensors;

namespace Sluice.Scenarios;

/// <summary>
/// Two questions about the worker. How fast are tensors read from JSON: a 224x224x3 image by the worker's own reader,
/// by System.Text.Json's naive path, and copied. And what does batching cost those who come alone: one client, and
/// arrivals at a low rate, with batching and without, in turn.
/// </summary>
public static class WorkerStudies
{
    private const int Pixels = 3 * 224 * 224;
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(3);

    /// <summary>.NET recompiles a method with optimization after 30 calls and a short delay.</summary>
    private const int WarmRuns = 60;

    /// <summary>Arrivals a second: about a fiftieth of what the worker does.</summary>
    private const double LowRate = 200;

    public static async Task RunAsync(ScenarioOptions options, CancellationToken ct)
    {
        var text = new StringBuilder($"# worker-studies\n\n{Machine.Describe("make load-worker")}\n");
        Parsing(text, options);
        await BatchingAsync(text, options, ct);
        Console.WriteLine(text);
        if (options.Out is { } file) await File.WriteAllTextAsync(file, text.ToString(), ct);
    }

    private static void Parsing(StringBuilder text, ScenarioOptions options)
    {
        var random = new Random(1);
        var image = Enumerable.Range(0, Pixels).Select(_ => random.NextSingle()).ToArray();
        text.Append("## A 224x224x3 image of FP32 as JSON\n\n")
            .Append(CultureInfo.InvariantCulture, $"{options.Rounds} rounds, in turn; MB of text a second, medians with their range. ")
            .Append("\"Naive\" is `JsonSerializer.Deserialize<float[]>`; the copy is of as many bytes as the text has.\n\n")
            .Append("| the numbers | text, MB | worker | Utf8JsonReader + GetSingle | naive | copy | worker / naive | worker / reader | copy / worker |\n")
            .Append("|---|---|---|---|---|---|---|---|---|\n");
        foreach (var (name, format) in new (string, Func<float, string>)[]
                 { ("17 digits, as Python writes a double", f => ((double)f).ToString("G17", CultureInfo.InvariantCulture)),
                   ("shortest that are the same float", f => f.ToString("R", CultureInfo.InvariantCulture)),
                   ("six decimals", f => f.ToString("0.000000", CultureInfo.InvariantCulture)) })
        {
            var json = Encoding.ASCII.GetBytes($"[{string.Join(',', image.Select(format))}]");
            float[] own = new float[Pixels], reader = new float[Pixels];
            var copy = new byte[json.Length];
            (string Name, Action Run)[] ways =
            [
                ("worker", () => JsonTensors.Read(json, MemoryMarshal.AsBytes(own.AsSpan()), "in", DataType.FromName("FP32")!, [1, 3, 224, 224])),
                ("reader", () => ByReader(json, reader)), ("naive", () => JsonSerializer.Deserialize<float[]>(json)), ("copy", () => json.CopyTo(copy, 0)),
            ];
            var rates = ways.ToDictionary(w => w.Name, _ => new List<double>());
            // The framework's code comes compiled; this process' own, as the worker's when it is published, must be
            // before it is compared.
            foreach (var (_, run) in ways)
                for (var warm = 0; warm < WarmRuns; warm++) run();
            for (var round = 0; round < options.Rounds; round++)
                foreach (var (way, run) in ways) rates[way].Add(Rate(run, json.Length));

            if (!own.AsSpan().SequenceEqual(JsonSerializer.Deserialize<float[]>(json)) || !own.AsSpan().SequenceEqual(reader))
                throw new InvalidOperationException("the readers disagree");
            string Cell(string way) => string.Create(CultureInfo.InvariantCulture, $"{Median(rates[way]):n0} ({rates[way].Min():n0}-{rates[way].Max():n0})");
            string Ratio(string a, string b) => string.Create(CultureInfo.InvariantCulture, $"{Median([.. rates[a].Zip(rates[b], (x, y) => x / y)]):0.0}");
            text.Append(CultureInfo.InvariantCulture, $"| {name} | {json.Length / 1e6:0.00} | {Cell("worker")} | {Cell("reader")} | {Cell("naive")} | {Cell("copy")} | ")
                .AppendLine(CultureInfo.InvariantCulture, $"{Ratio("worker", "naive")} | {Ratio("worker", "reader")} | {Ratio("copy", "worker")} |");
        }

        text.Append("\nAll three readers give the same floats, bit by bit.\n");
    }

    private static void ByReader(byte[] json, float[] into)
    {
        var reader = new Utf8JsonReader(json);
        var at = 0;
        while (reader.Read())
            if (reader.TokenType == JsonTokenType.Number) into[at++] = reader.GetSingle();
    }

    /// <summary>MB a second, of as many runs as fill a tenth of a second.</summary>
    private static double Rate(Action run, int bytes)
    {
        var (started, runs) = (Stopwatch.GetTimestamp(), 0);
        do
        {
            run();
            runs++;
        }
        while (Stopwatch.GetElapsedTime(started) < TimeSpan.FromMilliseconds(100));
        return runs * (double)bytes / 1e6 / Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    private static async Task BatchingAsync(StringBuilder text, ScenarioOptions options, CancellationToken ct)
    {
        var repository = Directory.CreateTempSubdirectory("sluice-worker-studies-").FullName;
        TinyModel.Put(repository, "mlp", TinyModel.Mlp());
        var (with, without) = (WorkerRequests.FreePort(), WorkerRequests.FreePort());
        await using var on = WorkerProcess.Launch(repository, new Dictionary<string, string?> { ["SLUICE_HTTP1_PORT"] = $"{with}" });
        await using var off = WorkerProcess.Launch(repository, new Dictionary<string, string?> { ["SLUICE_HTTP1_PORT"] = $"{without}", ["SLUICE_MAX_BATCH"] = "0" });
        await on.LineAsync("ready: ");
        await off.LineAsync("ready: ");
        text.Append("\n## What batching adds at low load\n\nMLP 784-512-512-10, binary; two workers, one with batching (the default) and one without ")
            .Append(CultureInfo.InvariantCulture, $"(`SLUICE_MAX_BATCH=0`), in turn; {options.Rounds} rounds of {options.Slice.TotalSeconds:0.#} s each. ")
            .Append("\"Added\" is the median of the rounds' own differences, with their range.\n\n")
            .Append("| load | quantile | batching, us | without, us | added, us |\n|---|---|---|---|---|\n");
        Target[] targets = [WorkerRequests.Infer(with, "mlp", [1, 784], binary: true), WorkerRequests.Infer(without, "mlp", [1, 784], binary: true)];
        foreach (var target in targets)
            using (var warm = new ClosedLoop(target, 8)) await warm.RunAsync(WarmUp, ct);
        await CompareAsync(text, "one client, closed loop", targets, options, async (target, _) =>
        {
            using var load = new ClosedLoop(target, 1);
            return await load.RunAsync(options.Slice, ct);
        });
        await CompareAsync(text, $"{LowRate:0} arrivals/s, open loop", targets, options, async (target, round) =>
        {
            using var load = new OpenLoop(target, LowRate, maxConnections: 16, seed: round);
            return await load.RunAsync(options.Slice, ct);
        });
        Directory.Delete(repository, recursive: true);
    }

    private static async Task CompareAsync(StringBuilder text, string load, Target[] targets, ScenarioOptions options, Func<Target, int, Task<LoadResult>> run)
    {
        var rounds = new List<(LoadResult With, LoadResult Without)>();
        for (var round = 0; round < options.Rounds; round++)
        {
            var first = round % 2 == 1 ? await run(targets[1], round) : null;
            var with = await run(targets[0], round);
            rounds.Add((with, first ?? await run(targets[1], round)));
        }

        if (rounds.Sum(r => r.With.Failed + r.Without.Failed) is > 0 and var failed) throw new InvalidOperationException($"{failed} requests failed");
        foreach (var quantile in new[] { 0.5, 0.99 })
        {
            List<double> with = [.. rounds.Select(r => r.With.Latency.Quantile(quantile))], without = [.. rounds.Select(r => r.Without.Latency.Quantile(quantile))];
            List<double> added = [.. with.Zip(without, (a, b) => a - b)];
            text.AppendLine(CultureInfo.InvariantCulture, $"| {load} | p{quantile * 100:0} | {Spread(with)} | {Spread(without)} | {Spread(added)} |");
        }
    }

    private static string Spread(List<double> values) =>
        string.Create(CultureInfo.InvariantCulture, $"{Median(values):0} ({values.Min():0}-{values.Max():0})");

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);
}
