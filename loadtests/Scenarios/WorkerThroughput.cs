using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.ML.OnnxRuntime;
using Sluice.LoadGenerator;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>
/// What serving a model over HTTP costs: the worker and what people write by hand (Fastify with onnxruntime-node), both up at once and
/// measured in turn, round after round, beside the limit: ONNX Runtime called in this process with ideal batches.
/// </summary>
public static class WorkerThroughput
{
    private static readonly int[] Concurrencies = [1, 16, 64, 256];
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(5);

    public static async Task RunAsync(ScenarioOptions options, CancellationToken ct)
    {
        var repository = Directory.CreateTempSubdirectory("sluice-worker-bench-").FullName;
        TinyModel.Put(repository, "trivial", TinyModel.Identity("FP32", -1, 4));
        TinyModel.Put(repository, "mlp", TinyModel.Mlp());
        var (own, peer) = (FreePort(), FreePort());
        await using var worker = WorkerProcess.Launch(repository, new Dictionary<string, string?> { ["SLUICE_HTTP1_PORT"] = $"{own}" });
        await worker.LineAsync("ready: ");
        var folder = Path.Combine(Repository.Root, "loadtests", "Peers", "fastify-ort");
        await using var fastify = new ChildProcess("/usr/bin/env", ["node", Path.Combine(folder, "server.mjs"), $"{peer}", repository],
            new Dictionary<string, string?>());
        await fastify.LineAsync("ready");

        var table = new StringBuilder($"# worker-throughput\n\n{Machine.Describe("make load-worker")}\n")
            .Append(CultureInfo.InvariantCulture, $"{options.Rounds} rounds of {options.Slice.TotalSeconds:0.#} s for each cell, interleaved; ")
            .Append("medians, ratios of each round's own with their range.\n");
        foreach (var (model, width) in new[] { ("trivial", 4), ("mlp", 784) })
        {
            var limits = Limits(Path.Combine(repository, model, "1", "model.onnx"), width);
            table.Append(CultureInfo.InvariantCulture, $"\n## {model}\n\nIn process, without HTTP: {limits.One:n0} rows/s at batch 1 and one caller, ")
                .Append(CultureInfo.InvariantCulture, $"{limits.Ideal:n0} rows/s at batch 32 and two callers.\n\n")
                .Append("| form, connections | worker, requests/s | Fastify | ratio | of the ideal | p50 us (Fastify) | p99 us (Fastify) | mean batch | ")
                .Append("bytes allocated a request |\n")
                .Append("|---|---|---|---|---|---|---|---|---|\n");
            foreach (var binary in new[] { false, true })
            {
                Target[] targets = [Request(own, model, width, binary), Request(peer, model, width, binary)];
                foreach (var target in targets)
                {
                    using var warm = new ClosedLoop(target, 64);
                    await warm.RunAsync(WarmUp, ct);
                }

                foreach (var connections in Concurrencies)
                    table.AppendLine(await CellAsync(targets, connections, binary, own, model, limits.Ideal, options, ct));
            }
        }

        Console.WriteLine(table);
        if (options.Out is { } file) await File.WriteAllTextAsync(file, table.ToString(), ct);
        Directory.Delete(repository, recursive: true);
    }

    private static async Task<string> CellAsync(Target[] targets, int connections, bool binary, int port, string model, double ideal,
        ScenarioOptions options, CancellationToken ct)
    {
        using ClosedLoop own = new(targets[0], connections), peer = new(targets[1], connections);
        var rounds = new List<(LoadResult Own, LoadResult Peer)>();
        var (requests, bytes, rows, runs) = (0L, 0d, 0d, 0d);
        for (var round = 0; round < options.Rounds; round++)
        {
            var first = round % 2 == 1 ? await peer.RunAsync(options.Slice, ct) : null;
            var before = await CountersAsync(port, model, ct);
            var mine = await own.RunAsync(options.Slice, ct);
            var after = await CountersAsync(port, model, ct);
            rounds.Add((mine, first ?? await peer.RunAsync(options.Slice, ct)));
            requests += mine.Latency.Count;
            bytes += after.Allocated - before.Allocated;
            rows += after.Rows - before.Rows;
            runs += after.Runs - before.Runs;
        }

        if (rounds.Sum(r => r.Own.Failed + r.Peer.Failed) is > 0 and var failed) throw new InvalidOperationException($"{failed} requests failed");
        double Median(Func<(LoadResult Own, LoadResult Peer), double> of) => rounds.Select(of).Order().ElementAt(rounds.Count / 2);
        double Us(LoadResult r, double q) => r.Latency.Quantile(q);
        var ratios = rounds.Select(r => r.Own.Rate / r.Peer.Rate).Order().ToList();
        string Both(double q) => string.Create(CultureInfo.InvariantCulture, $"{Median(r => Us(r.Own, q)):0} ({Median(r => Us(r.Peer, q)):0})");
        var ratio = string.Create(CultureInfo.InvariantCulture, $"{ratios[ratios.Count / 2]:0.00} ({ratios[0]:0.00}-{ratios[^1]:0.00})");
        var rate = Median(r => r.Own.Rate);
        return string.Create(CultureInfo.InvariantCulture, $"| {(binary ? "binary" : "JSON")}, {connections} | {rate:n0} | {Median(r => r.Peer.Rate):n0} | ")
            + string.Create(CultureInfo.InvariantCulture, $"{ratio} | {rate / ideal:0.00} | {Both(0.5)} | {Both(0.99)} | {rows / runs:0.0} | {bytes / requests:0} |");
    }

    private static Target Request(int port, string model, int width, bool binary)
    {
        var random = new Random(1);
        var values = Enumerable.Range(0, width).Select(_ => (float)random.NextDouble()).ToArray();
        var text = string.Join(',', values.Select(v => v.ToString("R", CultureInfo.InvariantCulture)));
        var data = binary ? $$$"""
            "parameters":{"binary_data_size":{{{4 * width}}}}}],"parameters":{"binary_data_output":true}}
            """ : $$"""
            "data":[{{text}}]}]}
            """;
        var head = $$"""{"inputs":[{"name":"in","datatype":"FP32","shape":[1,{{width}}],""" + data;
        byte[] body = [.. Encoding.ASCII.GetBytes(head), .. binary ? System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(values) : []];
        var type = binary ? $"application/octet-stream\r\nInference-Header-Content-Length: {head.Length}" : "application/json";
        return new Target(new IPEndPoint(IPAddress.Loopback, port), [.. Encoding.ASCII.GetBytes($"POST /v2/models/{model}/infer HTTP/1.1\r\nHost: x\r\n"
            + $"Content-Type: {type}\r\nAuthorization: Bearer {WorkerProcess.Token}\r\nContent-Length: {body.Length}\r\n\r\n"), .. body]);
    }

    private static async Task<(double Allocated, double Rows, double Runs)> CountersAsync(int port, string model, CancellationToken ct)
    {
        using var client = new HttpClient();
        client.DefaultRequestHeaders.Authorization = new System.Net.Http.Headers.AuthenticationHeaderValue("Bearer", WorkerProcess.Token);
        var lines = (await client.GetStringAsync(new Uri($"http://127.0.0.1:{port}/metrics"), ct)).Split('\n');
        double Value(string start) => lines.Where(l => l.StartsWith(start, StringComparison.Ordinal))
            .Select(l => double.Parse(l.Split(' ')[^1], CultureInfo.InvariantCulture)).Sum();
        return (Value("sluice_worker_allocated_bytes_total"), Value($"sluice_model_inferences_total{{model=\"{model}\""),
            Value($"sluice_model_executions_total{{model=\"{model}\""));
    }

    /// <summary>Rows a second of the model alone.</summary>
    private static (double One, double Ideal) Limits(string path, int width)
    {
        using var options = new SessionOptions { IntraOpNumThreads = 1 };
        using var session = new InferenceSession(path, options);
        Rate(session, width, 1, 1);
        return (Rate(session, width, 1, 1), Rate(session, width, 32, 2));
    }

    private static double Rate(InferenceSession session, int width, int rows, int callers)
    {
        var started = Stopwatch.GetTimestamp();
        var runs = new long[callers];
        var threads = Enumerable.Range(0, callers).Select(c => new Thread(() =>
        {
            using var input = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, Microsoft.ML.OnnxRuntime.Tensors.TensorElementType.Float, [rows, width]);
            input.GetTensorMutableDataAsSpan<float>().Fill(0.5f);
            using var run = new RunOptions();
            using var binding = session.CreateIoBinding();
            binding.BindInput("in", input);
            binding.BindOutputToDevice("out", OrtMemoryInfo.DefaultInstance);
            while (Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(2))
            {
                session.RunWithBinding(run, binding);
                runs[c]++;
            }
        })).ToList();
        foreach (var thread in threads) thread.Start();
        foreach (var thread in threads) thread.Join();
        return runs.Sum() * rows / Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
