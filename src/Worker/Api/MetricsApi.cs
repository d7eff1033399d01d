using Microsoft.AspNetCore.Http;
using Sluice.Worker.Batching;
using Sluice.Worker.Doctor;
using Sluice.Worker.Models;

namespace Sluice.Worker.Api;

/// <summary><c>/metrics</c>, Prometheus' text format 0.0.4: each model's counters with Triton's meaning, under Prometheus' conventions.</summary>
internal sealed class MetricsApi(ModelHost host, GpuMonitor gpus)
{
    private const double MiB = 1 << 20;

    private static readonly string[] StageNames = ["queue", "input", "infer", "output"];

    public void Map(Router routes) => routes.MapGet("/metrics", async context =>
    {
        context.Response.ContentType = "text/plain; version=0.0.4; charset=utf-8";
        await context.Response.WriteAsync(Text(await gpus.LookAsync(context.RequestAborted)), context.RequestAborted);
    });

    private string Text(IReadOnlyList<GpuFacts> seen)
    {
        var text = new PrometheusText();
        Models(text);
        text.Family("sluice_worker_memory_bytes", "gauge", "Resident memory of the worker's process.");
        text.Line("sluice_worker_memory_bytes", Environment.WorkingSet);
        text.Family("sluice_worker_allocated_bytes_total", "counter", "Managed memory allocated since the start.");
        text.Line("sluice_worker_allocated_bytes_total", GC.GetTotalAllocatedBytes());
        Gpus(text, seen);
        return text.ToString();
    }

    private void Models(PrometheusText text)
    {
        var models = host.Repository.All.Select(m => (Labels: $"model=\"{m.Name}\",version=\"{m.Version}\"", View: m.Statistics.View, Model: m)).ToList();
        text.Family("sluice_model_requests_total", "counter", "Requests that ended.");
        foreach (var (labels, view, _) in models)
        {
            text.Line($"sluice_model_requests_total{{{labels},result=\"success\"}}", view.Success.Count);
            text.Line($"sluice_model_requests_total{{{labels},result=\"fail\"}}", view.Fail.Count);
        }

        text.Family("sluice_model_inferences_total", "counter", "Rows inferred: requests times their batch dimension.");
        foreach (var (labels, view, _) in models) text.Line($"sluice_model_inferences_total{{{labels}}}", view.Rows);
        text.Family("sluice_model_executions_total", "counter", "Runs of the model; inferences / executions is the mean batch.");
        foreach (var (labels, view, _) in models) text.Line($"sluice_model_executions_total{{{labels}}}", view.Runs);
        text.Family("sluice_model_tokens_total", "counter", "Tokens generated.");
        foreach (var (labels, view, _) in models) text.Line($"sluice_model_tokens_total{{{labels}}}", view.Tokens);
        text.Family("sluice_model_inside", "gauge", "Requests that came and are not answered.");
        foreach (var (labels, _, model) in models) text.Line($"sluice_model_inside{{{labels}}}", model.Scheduler.Inside);
        text.Family("sluice_model_batch_cuts_total", "counter", "Batches, by why they took no more.");
        foreach (var (labels, view, _) in models)
            foreach (var (cut, count) in view.Cuts) text.Line($"sluice_model_batch_cuts_total{{{labels},why=\"{Name(cut)}\"}}", count);
        text.Family("sluice_model_batch_rows", "histogram", "Rows of a run.");
        foreach (var (labels, view, _) in models) text.Histogram("sluice_model_batch_rows", labels, view.BatchRows);
        text.Family("sluice_model_stage_seconds", "histogram", "Where the time of an answered request went.");
        foreach (var (labels, view, _) in models)
            for (var i = 0; i < StageNames.Length; i++)
                text.Histogram("sluice_model_stage_seconds", $"{labels},stage=\"{StageNames[i]}\"", view.StageSeconds[i]);
        text.Family("sluice_model_nodes", "gauge", "Nodes of the model's graph, by the provider that runs them.");
        foreach (var (labels, _, model) in models)
            foreach (var share in model.Session.Placement?.Shares ?? []) text.Line($"sluice_model_nodes{{{labels},provider=\"{share.Provider}\"}}", share.Nodes);
        text.Family("sluice_model_memory_bytes", "gauge", "Memory that is known to be a model's: stored weights, and the host's buffers for batches.");
        foreach (var (labels, _, model) in models)
        {
            text.Line($"sluice_model_memory_bytes{{{labels},kind=\"weights\",provider=\"{model.Session.Provider}\"}}", model.Weights);
            text.Line($"sluice_model_memory_bytes{{{labels},kind=\"buffers\",provider=\"cpu\"}}", model.BufferBytes);
        }
    }

    /// <summary>What is not told ([N/A] in a MIG slice) has no line, and where nothing is told there is no family.</summary>
    private static void Gpus(PrometheusText text, IReadOnlyList<GpuFacts> seen)
    {
        Tell("sluice_gpu_utilization_ratio", "Share of nvidia-smi's last sample in which a kernel ran.", g => g.Utilization / 100.0);
        Tell("sluice_gpu_memory_used_bytes", "Memory of the GPU in use, by all processes.", g => g.UsedMiB * MiB);
        Tell("sluice_gpu_memory_bytes", "All memory of the GPU.", g => g.MemoryMiB * MiB);
        Tell("sluice_gpu_temperature_celsius", "Temperature of the GPU's core.", g => g.Celsius);
        Tell("sluice_gpu_power_watts", "Power that the GPU draws.", g => g.Watts);

        void Tell(string name, string help, Func<GpuFacts, double?> of)
        {
            if (!seen.Any(g => of(g) is not null)) return;
            text.Family(name, "gauge", help);
            foreach (var gpu in seen)
                if (of(gpu) is { } value) text.Line($"{name}{{gpu=\"{gpu.Index}\",uuid=\"{gpu.Uuid}\",name=\"{gpu.Name}\"}}", value);
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
