using System.Globalization;
using Sluice.Worker.Generation;
using Sluice.Worker.Statistics;

namespace Sluice.Worker.Api;

/// <summary>
/// Writes the metrics of models that generate text with the names, labels and bounds of vLLM
/// (vllm/v1/metrics/loggers.py), for dashboards, scalers and routers that read them. The label <c>engine</c> has the
/// version of the model.
/// </summary>
internal static class VllmMetrics
{
    /// <summary>
    /// Tokens of a block, as routers expect them: vLLM's default, and the least number of tokens that texts share.
    /// </summary>
    private const int BlockSize = 16;

    /// <summary>Writes the families of the models; none without models.</summary>
    public static void Write(PrometheusText text, IReadOnlyList<ModelSnapshot> models)
    {
        if (models.Count == 0) return;
        WriteState(text, models);
        WriteCounters(text, models);
        WriteSizes(text, models);
        WriteDurations(text, models);
    }

    /// <summary>Formats a bound as vLLM's Python client does.</summary>
    public static string Format(double bound)
    {
        if (bound < 1e6) return bound.ToString("0.0###", CultureInfo.InvariantCulture);
        var exponent = (int)Math.Log10(bound);
        return string.Create(CultureInfo.InvariantCulture, $"{bound / Math.Pow(10, exponent)}e+{exponent:00}");
    }

    private static void WriteState(PrometheusText text, IReadOnlyList<ModelSnapshot> models)
    {
        Write(MetricNames.VllmRunning, "Number of requests in model execution batches.", g => g.Counters.Running);
        Write(MetricNames.VllmWaiting, "Number of requests waiting to be processed.", g => g.Counters.Waiting);
        Write(MetricNames.VllmCacheUsage, "KV-cache usage. 1 means 100 percent usage.", CacheUsage);
        Write(MetricNames.VllmOldCacheUsage, "The older name of the KV-cache usage.", CacheUsage);
        text.StartFamily(MetricNames.VllmCacheConfig, "gauge", "Size of the KV cache in blocks of tokens.");
        foreach (var model in models)
            text.WriteSample(1, [
                .. Labels(model),
                ("block_size", Text(BlockSize)),
                ("num_gpu_blocks", Text(model.Generation!.Capacity / BlockSize)),
                ("enable_prefix_caching", model.Generation.KeepsPrefixes ? "True" : "False"),
            ]);

        void Write(string name, string help, Func<GenerationSnapshot, double> read) =>
            WriteFamily(text, models, name, "gauge", help, read);
    }

    private static void WriteCounters(PrometheusText text, IReadOnlyList<ModelSnapshot> models)
    {
        // vLLM counts all tokens of a prompt, with those that the cache contained.
        Write(MetricNames.VllmPromptTokens, "Number of prefill tokens processed.", AllPromptTokens);
        Write(MetricNames.VllmTokens, "Number of generation tokens processed.", c => c.GeneratedTokens);
        Write(MetricNames.VllmPreemptions, "Cumulative number of preemptions of the engine.", c => c.Preemptions);
        Write(MetricNames.VllmPrefixQueries, "Prefix cache queries, in tokens.", AllPromptTokens);
        Write(MetricNames.VllmPrefixHits, "Prefix cache hits, in tokens.", c => c.CachedTokens);
        text.StartFamily(MetricNames.VllmSuccess, "counter", "Count of processed requests, by reason of the end.");
        foreach (var model in models)
            foreach (var end in Enum.GetValues<GenerationEnd>())
                text.WriteSample(
                    model.Generation!.Texts.Ends[(int)end],
                    [.. Labels(model), ("finished_reason", GenerationMetrics.Name(end))]);

        void Write(string name, string help, Func<GenerationCounters, double> read) =>
            WriteFamily(text, models, name, "counter", help, g => read(g.Counters));
    }

    private static void WriteSizes(PrometheusText text, IReadOnlyList<ModelSnapshot> models)
    {
        Write(MetricNames.VllmRequestPromptTokens, "Number of prefill tokens of a request.", t => t.PromptTokens);
        Write(MetricNames.VllmRequestTokens, "Number of generation tokens of a request.", t => t.GeneratedTokens);
        Write(
            MetricNames.VllmMaxRequestTokens,
            "Maximum number of generation tokens of a request.",
            t => t.GeneratedTokens);
        Write(MetricNames.VllmStepTokens, "Number of tokens of an engine step.", t => t.StepTokens);

        void Write(string name, string help, Func<GenerationStatisticsView, HistogramView> read) =>
            WriteHistogram(text, models, name, help, read);
    }

    private static void WriteDurations(PrometheusText text, IReadOnlyList<ModelSnapshot> models)
    {
        Write(MetricNames.VllmFirstToken, "Time to first token in seconds.", t => t.FirstToken);
        Write(
            MetricNames.VllmInterToken,
            "Time between two tokens in seconds.",
            t => t.InterToken.Select(GenerationBounds.VllmInterToken));
        Write(
            MetricNames.VllmOutputToken,
            "The older name of the time between two tokens in seconds.",
            t => t.InterToken.Select(GenerationBounds.VllmInterToken));
        WriteStage(MetricNames.VllmDuration, "Latency of a request in seconds.", t => t.Total);
        WriteStage(MetricNames.VllmQueue, "Time of a request in the WAITING phase.", t => t.Queue);
        WriteStage(MetricNames.VllmPrefill, "Time of a request in the PREFILL phase.", t => t.Prefill);
        WriteStage(MetricNames.VllmDecode, "Time of a request in the DECODE phase.", t => t.Decode);
        WriteStage(MetricNames.VllmInference, "Time of a request in the RUNNING phase.", t => t.Inference);

        void WriteStage(string name, string help, Func<GenerationStatisticsView, HistogramView> read) =>
            Write(name, help, t => read(t).Select(GenerationBounds.VllmRequest));

        void Write(string name, string help, Func<GenerationStatisticsView, HistogramView> read) =>
            WriteHistogram(text, models, name, help, read);
    }

    private static double CacheUsage(GenerationSnapshot generation) =>
        (double)generation.Counters.TokensHeld / generation.Capacity;

    private static double AllPromptTokens(GenerationCounters counters) => counters.PromptTokens + counters.CachedTokens;

    private static (string Name, string Value)[] Labels(ModelSnapshot model) =>
        [("model_name", model.Model.Name), ("engine", model.Model.Version)];

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static void WriteFamily(
        PrometheusText text,
        IReadOnlyList<ModelSnapshot> models,
        string name,
        string type,
        string help,
        Func<GenerationSnapshot, double> read)
    {
        text.StartFamily(name, type, help);
        foreach (var model in models) text.WriteSample(read(model.Generation!), Labels(model));
    }

    private static void WriteHistogram(
        PrometheusText text,
        IReadOnlyList<ModelSnapshot> models,
        string name,
        string help,
        Func<GenerationStatisticsView, HistogramView> read)
    {
        text.StartFamily(name, "histogram", help);
        foreach (var model in models) text.WriteHistogram(read(model.Generation!.Texts), Format, Labels(model));
    }
}
