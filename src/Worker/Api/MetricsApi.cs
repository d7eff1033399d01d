using Microsoft.AspNetCore.Http;
using Sluice.Worker.Batching;
using Sluice.Worker.Devices;
using Sluice.Worker.Http;
using Sluice.Worker.Providers;
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
        WriteModels(text);
        text.Family("sluice_worker_memory_bytes", "gauge", "Resident memory of the worker process.");
        text.Line("sluice_worker_memory_bytes", Environment.WorkingSet);
        text.Family(
            "sluice_worker_allocated_bytes_total",
            "counter",
            "Managed memory allocated since the start of the process.");
        text.Line("sluice_worker_allocated_bytes_total", GC.GetTotalAllocatedBytes());
        WriteGpus(text, seen);
        return text.ToString();
    }

    private void WriteModels(PrometheusText text)
    {
        var models = host.Repository.All
            .Select(m => (
                Labels: $"model=\"{m.Name}\",version=\"{m.Version}\"",
                View: m.Statistics.View,
                Model: m))
            .ToList();
        WriteRequests(text, models);
        WriteBatches(text, models);
        WriteResources(text, models);
    }

    private static void WriteRequests(
        PrometheusText text,
        List<(string Labels, StatisticsView View, LoadedModel Model)> models)
    {
        text.Family("sluice_model_requests_total", "counter", "Completed requests, by result.");
        foreach (var (labels, view, _) in models)
        {
            text.Line($"sluice_model_requests_total{{{labels},result=\"success\"}}", view.Success.Count);
            text.Line($"sluice_model_requests_total{{{labels},result=\"fail\"}}", view.Fail.Count);
        }

        text.Family(
            "sluice_model_inferences_total",
            "counter",
            "Rows inferred: the sum of the batch dimensions of all requests.");
        foreach (var (labels, view, _) in models) text.Line($"sluice_model_inferences_total{{{labels}}}", view.Rows);
        text.Family(
            "sluice_model_executions_total",
            "counter",
            "Runs of the model; inferences / executions is the mean batch size.");
        foreach (var (labels, view, _) in models) text.Line($"sluice_model_executions_total{{{labels}}}", view.Runs);
        text.Family("sluice_model_tokens_total", "counter", "Tokens generated.");
        foreach (var (labels, view, _) in models) text.Line($"sluice_model_tokens_total{{{labels}}}", view.Tokens);
        text.Family("sluice_model_inside", "gauge", "Requests received and not yet answered.");
        foreach (var (labels, _, model) in models)
            text.Line($"sluice_model_inside{{{labels}}}", model.Scheduler.Inside);
    }

    private static void WriteBatches(
        PrometheusText text,
        List<(string Labels, StatisticsView View, LoadedModel Model)> models)
    {
        text.Family("sluice_model_batch_cuts_total", "counter", "Batches, by the reason why no request was added.");
        foreach (var (labels, view, _) in models)
            foreach (var (cut, count) in view.Cuts)
                text.Line($"sluice_model_batch_cuts_total{{{labels},why=\"{Name(cut)}\"}}", count);
        text.Family("sluice_model_batch_rows", "histogram", "Rows of a run.");
        foreach (var (labels, view, _) in models) text.Histogram("sluice_model_batch_rows", labels, view.BatchRows);
        text.Family("sluice_model_stage_seconds", "histogram", "Duration of each stage of a successful request.");
        foreach (var (labels, view, _) in models)
            for (var i = 0; i < StageNames.Length; i++)
                text.Histogram(
                    "sluice_model_stage_seconds",
                    $"{labels},stage=\"{StageNames[i]}\"",
                    view.StageSeconds[i]);
    }

    private static void WriteResources(
        PrometheusText text,
        List<(string Labels, StatisticsView View, LoadedModel Model)> models)
    {
        text.Family("sluice_model_nodes", "gauge", "Nodes of the model's graph, by the provider that runs them.");
        foreach (var (labels, _, model) in models)
            foreach (var share in model.Session.Placement?.Shares ?? [])
                text.Line($"sluice_model_nodes{{{labels},provider=\"{share.Provider}\"}}", share.Nodes);
        text.Family(
            "sluice_model_memory_bytes",
            "gauge",
            "Known memory of a model: stored weights, and host buffers for batches.");
        foreach (var (labels, _, model) in models)
        {
            text.Line(
                $"sluice_model_memory_bytes{{{labels},kind=\"weights\",provider=\"{model.Session.Provider}\"}}",
                model.Weights);
            text.Line($"sluice_model_memory_bytes{{{labels},kind=\"buffers\",provider=\"cpu\"}}", model.BufferBytes);
        }
    }

    /// <summary>
    /// Writes the GPU gauges. A value that nvidia-smi does not report ([N/A] in a MIG slice) has no sample, and a gauge
    /// without samples is omitted.
    /// </summary>
    private static void WriteGpus(PrometheusText text, IReadOnlyList<GpuFacts> seen)
    {
        WriteGauge(
            "sluice_gpu_utilization_ratio",
            "Share of nvidia-smi's last sample period in which a kernel ran.",
            g => g.Utilization / 100.0);
        WriteGauge("sluice_gpu_memory_used_bytes", "GPU memory in use by all processes.", g => g.UsedMiB * MiB);
        WriteGauge("sluice_gpu_memory_bytes", "Total GPU memory.", g => g.MemoryMiB * MiB);
        WriteGauge("sluice_gpu_temperature_celsius", "Temperature of the GPU core.", g => g.Celsius);
        WriteGauge("sluice_gpu_power_watts", "Power draw of the GPU.", g => g.Watts);

        void WriteGauge(string name, string help, Func<GpuFacts, double?> read)
        {
            if (!seen.Any(g => read(g) is not null)) return;
            text.Family(name, "gauge", help);
            foreach (var gpu in seen)
                if (read(gpu) is { } value)
                    text.Line($"{name}{{gpu=\"{gpu.Index}\",uuid=\"{gpu.Uuid}\",name=\"{gpu.Name}\"}}", value);
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
