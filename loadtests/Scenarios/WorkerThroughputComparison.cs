using Sluice.LoadGenerator;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>
/// Sends the requests of <see cref="WorkerThroughput"/> to the workers of two builds, without the peer.
/// </summary>
internal static class WorkerThroughputComparison
{
    public static async Task RunAsync(ScenarioOptions options, CancellationToken ct)
    {
        var repository = Directory.CreateTempSubdirectory("sluice-worker-bench-").FullName;
        TinyModel.Put(repository, "trivial", TinyModel.Identity("FP32", -1, 4));
        TinyModel.Put(repository, "mlp", TinyModel.Mlp());
        var (beforePort, afterPort) = (WorkerRequests.FreePort(), WorkerRequests.FreePort());
        await using var before = await StartAsync(options.Before!, repository, beforePort);
        await using var after = await StartAsync(PublishedBuild.Current, repository, afterPort);
        var comparison = new BuildComparison("worker-throughput", options);
        foreach (var (model, width) in new[] { ("trivial", 4), ("mlp", 784) })
            foreach (var binary in new[] { false, true })
            {
                Target old = WorkerRequests.Infer(beforePort, model, [1, width], binary),
                    current = WorkerRequests.Infer(afterPort, model, [1, width], binary);
                foreach (var target in new[] { old, current })
                {
                    using var warm = new ClosedLoop(target, 64);
                    await warm.RunAsync(WorkerThroughput.WarmUp, ct);
                }

                foreach (var connections in WorkerThroughput.Concurrencies)
                    await AddCellAsync(model, binary, connections, old, current);
            }

        await comparison.WriteAsync(ct);
        Directory.Delete(repository, recursive: true);

        async Task AddCellAsync(string model, bool binary, int connections, Target old, Target current)
        {
            using ClosedLoop oldLoop = new(old, connections), currentLoop = new(current, connections);
            // The warm-up round also opens the connections.
            var rounds = await comparison.RunAsync(
                warmUp: 1,
                b => b == options.Before
                    ? MeasureAsync(oldLoop, beforePort, before.Id, model, options.Slice, ct)
                    : MeasureAsync(currentLoop, afterPort, after.Id, model, options.Slice, ct),
                ct);
            comparison.AddTable($"{model}, {(binary ? "binary" : "JSON")}, {connections} connection(s)");
            comparison.AddRow("requests/s", rounds, r => r.Load.Rate);
            comparison.AddRow("p50 us", rounds, r => r.Load.Latency.Quantile(0.5));
            comparison.AddRow("p99 us", rounds, r => r.Load.Latency.Quantile(0.99));
            comparison.AddRow("worker's CPU us per request", rounds, r => r.Cpu, "0.0");
            comparison.AddRow("bytes allocated per request", rounds, r => r.Allocated);
            comparison.AddRow("mean batch", rounds, r => r.Batch, "0.0");
            comparison.AddRow("failed", rounds, r => r.Load.Failed);
        }
    }

    private static async Task<Measured> MeasureAsync(
        ClosedLoop loop,
        int port,
        int process,
        string model,
        TimeSpan slice,
        CancellationToken ct)
    {
        var counters = await WorkerRequests.CountersAsync(port, model, ct);
        var cpu = ProcessTime.Microseconds(process);
        var load = await loop.RunAsync(slice, ct);
        var used = ProcessTime.Microseconds(process) - cpu;
        counters = await WorkerRequests.CountersAsync(port, model, ct) - counters;
        var requests = load.Latency.TotalCount;
        return new Measured(load, used / requests, counters.Allocated / requests, counters.Rows / counters.Runs);
    }

    private static async Task<ChildProcess> StartAsync(PublishedBuild build, string repository, int port)
    {
        var worker = WorkerProcess.Launch(
            repository,
            new Dictionary<string, string?> { ["SLUICE_HTTP1_PORT"] = $"{port}" },
            build.Worker);
        await worker.LineAsync("ready: ");
        return worker;
    }

    /// <summary>One measurement of one build.</summary>
    /// <param name="Load">Result of the load generator.</param>
    /// <param name="Cpu">Processor time of the worker per request, in microseconds.</param>
    /// <param name="Allocated">Managed memory per request, in bytes.</param>
    /// <param name="Batch">Mean rows per run of the model.</param>
    private sealed record Measured(LoadResult Load, double Cpu, double Allocated, double Batch);
}
