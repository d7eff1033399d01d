using Microsoft.AspNetCore.Http;
using Sluice.Worker.Batching;
using Sluice.Worker.Devices;
using Sluice.Worker.Http;
using Sluice.Worker.Serving;

namespace Sluice.Worker.Api;

/// <summary>
/// Serves <c>/metrics</c> in the Prometheus text format 0.0.4. The counters of a model have the same meaning as
/// Triton's and are named by the Prometheus conventions.
/// </summary>
internal sealed class MetricsApi(ModelHost host, GpuMonitor gpus)
{
    private const double MiB = 1 << 20;

    private static readonly string[] StageNames = ["queue", "input", "infer", "output"];

    public void Map(Router routes) => routes.MapGet("/metrics", async context =>
    {
        context.Response.ContentType = "text/plain; version=0.0.4; charset=utf-8";
        await context.Response.WriteAsync(Text(await gpus.ReadAsync(context.RequestAborted)), context.RequestAborted);
    });

    private string Text(IReadOnlyList<GpuFacts> seen)
    {
        var text = new PrometheusText();
        List<ModelSnapshot> models = [.. host.Repository.All.Select(m => ModelSnapshot.Read(m))];
        WriteRequests(text, models);
        WriteBatches(text, models);
        GenerationMetrics.Write(text, [.. models.Where(m => m.Generation is not null)]);
        VllmMetrics.Write(text, [.. models.Where(m => m.Generation is not null)]);
        EmbeddingMetrics.Write(text, [.. models.Where(m => m.Model.IsEmbedder)]);
        WriteResources(text, models);
        text.StartFamily(MetricNames.WorkerMemory, "gauge", "Resident memory of the worker process.");
        text.WriteSample(Environment.WorkingSet);
        text.StartFamily(
            MetricNames.WorkerAllocated,
            "counter",
            "Managed memory allocated since the start of the process.");
        text.WriteSample(GC.GetTotalAllocatedBytes());
        WriteGpus(text, seen);
        return text.ToString();
    }

    private static void WriteRequests(PrometheusText text, List<ModelSnapshot> models)
    {
        text.StartFamily(MetricNames.ModelRequests, "counter", "Completed requests, by result.");
        foreach (var model in models)
        {
            text.WriteSample(model.View.Success.Count, model.Labels(("result", "success")));
            text.WriteSample(model.View.Fail.Count, model.Labels(("result", "fail")));
        }

        text.StartFamily(
            MetricNames.ModelInferences,
            "counter",
            "Rows inferred: the sum of the batch dimensions of all requests.");
        foreach (var model in models) text.WriteSample(model.View.Rows, model.Labels());
        text.StartFamily(
            MetricNames.ModelExecutions,
            "counter",
            "Runs of the model; inferences / executions is the mean batch size.");
        foreach (var model in models) text.WriteSample(model.View.Runs, model.Labels());
        text.StartFamily(MetricNames.ModelTokens, "counter", "Tokens generated.");
        foreach (var model in models.Where(m => m.Generation is not null))
            text.WriteSample(model.View.Tokens, model.Labels());
        text.StartFamily(MetricNames.ModelInside, "gauge", "Requests received and not yet answered.");
        foreach (var model in models) text.WriteSample(model.Model.Scheduler.Inside, model.Labels());
    }

    private static void WriteBatches(PrometheusText text, List<ModelSnapshot> models)
    {
        text.StartFamily(
            MetricNames.ModelBatchCuts,
            "counter",
            "Batches, by the reason why no request was added.");
        foreach (var model in models)
            foreach (var (cut, count) in model.View.Cuts)
                text.WriteSample(count, model.Labels(("why", Name(cut))));
        text.StartFamily(MetricNames.ModelBatchRows, "histogram", "Rows of a run.");
        foreach (var model in models) text.WriteHistogram(model.View.BatchRows, model.Labels());
        text.StartFamily(
            MetricNames.ModelStageSeconds,
            "histogram",
            "Duration of each stage of a successful request.");
        foreach (var model in models)
            for (var i = 0; i < StageNames.Length; i++)
                text.WriteHistogram(model.View.StageSeconds[i], model.Labels(("stage", StageNames[i])));
    }

    private static void WriteResources(PrometheusText text, List<ModelSnapshot> models)
    {
        text.StartFamily(
            MetricNames.ModelNodes,
            "gauge",
            "Nodes of the model's graph, by the provider that runs them.");
        foreach (var model in models)
            foreach (var share in model.Model.Session.Placement?.Shares ?? [])
                text.WriteSample(share.Nodes, model.Labels(("provider", $"{share.Provider}")));
        text.StartFamily(
            MetricNames.ModelMemory,
            "gauge",
            "Known memory of a model: stored weights, and host buffers for batches.");
        foreach (var model in models)
        {
            var provider = $"{model.Model.Session.Provider}";
            text.WriteSample(model.Model.Weights, model.Labels(("kind", "weights"), ("provider", provider)));
            text.WriteSample(model.Model.BufferBytes, model.Labels(("kind", "buffers"), ("provider", "cpu")));
        }
    }

    /// <summary>
    /// Writes the GPU gauges. A value that nvidia-smi does not report ([N/A] in a MIG slice) has no sample, and a gauge
    /// without samples is omitted.
    /// </summary>
    private static void WriteGpus(PrometheusText text, IReadOnlyList<GpuFacts> seen)
    {
        WriteGauge(
            MetricNames.GpuUtilization,
            "Share of nvidia-smi's last sample period in which a kernel ran.",
            g => g.Utilization / 100.0);
        WriteGauge(MetricNames.GpuMemoryUsed, "GPU memory in use by all processes.", g => g.UsedMiB * MiB);
        WriteGauge(MetricNames.GpuMemory, "Total GPU memory.", g => g.MemoryMiB * MiB);
        WriteGauge(MetricNames.GpuTemperature, "Temperature of the GPU core.", g => g.Celsius);
        WriteGauge(MetricNames.GpuPower, "Power draw of the GPU.", g => g.Watts);

        void WriteGauge(string name, string help, Func<GpuFacts, double?> read)
        {
            if (!seen.Any(g => read(g) is not null)) return;
            text.StartFamily(name, "gauge", help);
            foreach (var gpu in seen)
                if (read(gpu) is { } value)
                    text.WriteSample(value, ("gpu", $"{gpu.Index}"), ("uuid", gpu.Uuid), ("name", gpu.Name));
        }
    }

    private static string Name(BatchCut cut) => cut switch
    {
        BatchCut.Drained => "drained",
        BatchCut.Full => "full",
        BatchCut.NextTooLarge => "next_too_large",
        BatchCut.Shape => "shape",
        _ => "unbatched",
    };
}
