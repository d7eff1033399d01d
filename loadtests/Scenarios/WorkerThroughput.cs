using System.Diagnostics;
using System.Globalization;
using System.Text;
using Sluice.LoadGenerator;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>
/// Measures the cost of serving a model over HTTP: the worker and a usual hand-written server (Fastify with
/// onnxruntime-node). Both run at the same time and are measured in turn, round by round, beside the limit: ONNX
/// Runtime called in this process with ideal batches.
/// </summary>
public static class WorkerThroughput
{
    internal static readonly int[] Concurrencies = [1, 16, 64, 256];
    internal static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Connecting = TimeSpan.FromMilliseconds(300);

    public static async Task RunAsync(ScenarioOptions options, CancellationToken ct)
    {
        if (options.Before is not null)
        {
            await WorkerThroughputComparison.RunAsync(options, ct);
            return;
        }

        var repository = Directory.CreateTempSubdirectory("sluice-worker-bench-").FullName;
        TinyModel.Put(repository, "trivial", TinyModel.Identity("FP32", -1, 4));
        TinyModel.Put(repository, "mlp", TinyModel.Mlp());
        var (own, peer) = (WorkerRequests.FreePort(), WorkerRequests.FreePort());
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
            var limits = InProcessLimit.Of(Path.Combine(repository, model, "1", "model.onnx"), width);
            table.Append(CultureInfo.InvariantCulture, $"\n## {model}\n\nIn process, without HTTP: {limits.One:n0} rows/s at batch 1 and one caller, ")
                .Append(CultureInfo.InvariantCulture, $"{limits.Ideal:n0} rows/s at batch 32 and two callers.\n\n")
                .Append("| form, connections | worker, requests/s | Fastify | ratio | of the ideal | p50 us (Fastify) | p99 us (Fastify) | mean batch | ")
                .Append("bytes allocated a request | CPU us a request (Fastify) | of the load's own |\n")
                .Append("|---|---|---|---|---|---|---|---|---|---|---|\n");
            foreach (var binary in new[] { false, true })
            {
                var bench = new Bench(WorkerRequests.Infer(own, model, [1, width], binary), WorkerRequests.Infer(peer, model, [1, width], binary), worker.Id, fastify.Id,
                    model, limits.Ideal);
                foreach (var target in new[] { bench.Own, bench.Peer })
                {
                    using var warm = new ClosedLoop(target, 64);
                    await warm.RunAsync(WarmUp, ct);
                }

                foreach (var connections in Concurrencies)
                    table.AppendLine(await CellAsync(bench, connections, binary, options, ct));
            }
        }

        Console.WriteLine(table);
        if (options.Out is { } file) await File.WriteAllTextAsync(file, table.ToString(), ct);
        Directory.Delete(repository, recursive: true);
    }

    private static async Task<string> CellAsync(Bench bench, int connections, bool binary, ScenarioOptions options, CancellationToken ct)
    {
        using ClosedLoop own = new(bench.Own, connections), peer = new(bench.Peer, connections);
        // Connections are made before anything is counted.
        await own.RunAsync(Connecting, ct);
        await peer.RunAsync(Connecting, ct);
        var rounds = new List<(LoadResult Own, LoadResult Peer)>();
        var (counted, worker, fastify, load) = (default(WorkerCounters), TimeSpan.Zero, TimeSpan.Zero, TimeSpan.Zero);
        for (var round = 0; round < options.Rounds; round++)
        {
            var first = round % 2 == 1 ? await PeerAsync() : null;
            var before = await WorkerRequests.CountersAsync(bench.Own.Address.Port, bench.Model, ct);
            var (ownCpu, loadCpu) = (Cpu(bench.Worker), Cpu(Environment.ProcessId));
            var mine = await own.RunAsync(options.Slice, ct);
            (worker, load) = (worker + Cpu(bench.Worker) - ownCpu, load + Cpu(Environment.ProcessId) - loadCpu);
            counted += await WorkerRequests.CountersAsync(bench.Own.Address.Port, bench.Model, ct) - before;
            rounds.Add((mine, first ?? await PeerAsync()));
        }

        if (rounds.Sum(r => r.Own.Failed + r.Peer.Failed) is > 0 and var failed) throw new InvalidOperationException($"{failed} requests failed");
        var (requests, asked) = (rounds.Sum(r => r.Own.Latency.TotalCount), rounds.Sum(r => r.Peer.Latency.TotalCount));
        double Median(Func<(LoadResult Own, LoadResult Peer), double> of) => rounds.Select(of).Order().ElementAt(rounds.Count / 2);
        var ratios = rounds.Select(r => r.Own.Rate / r.Peer.Rate).Order().ToList();
        string Both(double q) => string.Create(CultureInfo.InvariantCulture, $"{Median(r => r.Own.Latency.Quantile(q)):0} ({Median(r => r.Peer.Latency.Quantile(q)):0})");
        var ratio = string.Create(CultureInfo.InvariantCulture, $"{ratios[ratios.Count / 2]:0.00} ({ratios[0]:0.00}-{ratios[^1]:0.00})");
        var rate = Median(r => r.Own.Rate);
        return string.Create(CultureInfo.InvariantCulture, $"| {(binary ? "binary" : "JSON")}, {connections} | {rate:n0} | {Median(r => r.Peer.Rate):n0} | {ratio} | ")
            + string.Create(CultureInfo.InvariantCulture, $"{rate / bench.Ideal:0.00} | {Both(0.5)} | {Both(0.99)} | ")
            + string.Create(CultureInfo.InvariantCulture, $"{counted.Rows / counted.Runs:0.0} | {counted.Allocated / requests:0} | ")
            + string.Create(CultureInfo.InvariantCulture, $"{worker.TotalMicroseconds / requests:0} ({fastify.TotalMicroseconds / asked:0}) | ")
            + string.Create(CultureInfo.InvariantCulture, $"{load.TotalMicroseconds / requests:0} |");

        async Task<LoadResult> PeerAsync()
        {
            var before = Cpu(bench.Fastify);
            var result = await peer.RunAsync(options.Slice, ct);
            fastify += Cpu(bench.Fastify) - before;
            return result;
        }
    }

    private static TimeSpan Cpu(int process)
    {
        using var of = Process.GetProcessById(process);
        return of.TotalProcessorTime;
    }

    /// <summary>What is measured side by side.</summary>
    private sealed record Bench(Target Own, Target Peer, int Worker, int Fastify, string Model, double Ideal);
}
