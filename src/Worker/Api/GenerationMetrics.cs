using Sluice.Worker.Generation;
using Sluice.Worker.Statistics;

namespace Sluice.Worker.Api;

/// <summary>Writes the metrics of models that generate text.</summary>
internal static class GenerationMetrics
{
    /// <summary>Writes the families of the models; none without models.</summary>
    public static void Write(PrometheusText text, IReadOnlyList<ModelSnapshot> models)
    {
        if (models.Count == 0) return;
        WriteState(text, models);
        WriteTokens(text, models);
        WriteTexts(text, models);
        WriteDurations(text, models);
    }

    private static void WriteState(PrometheusText text, IReadOnlyList<ModelSnapshot> models)
    {
        Write(MetricNames.GenerationRunning, "Texts that are generated.", g => g.Counters.Running);
        Write(MetricNames.GenerationWaiting, "Texts that wait for a row of the cache.", g => g.Counters.Waiting);
        Write(
            MetricNames.GenerationWaitingTokens,
            "Tokens of texts that wait for a row of the cache.",
            g => g.Counters.WaitingTokens);
        Write(
            MetricNames.GenerationCacheTokens,
            "Tokens of running texts in the key/value cache.",
            g => g.Counters.TokensHeld);
        Write(
            MetricNames.GenerationKeptTokens,
            "Tokens of ended texts that the key/value cache keeps for texts that begin with them.",
            g => g.Counters.TokensKept);
        Write(
            MetricNames.GenerationCacheCapacity,
            "Tokens for which the key/value cache can have room.",
            g => g.Capacity);

        void Write(string name, string help, Func<GenerationSnapshot, long> read) =>
            WriteFamily(text, models, name, "gauge", help, read);
    }

    private static void WriteTokens(PrometheusText text, IReadOnlyList<ModelSnapshot> models)
    {
        Write(MetricNames.GenerationSteps, "Steps of the engine.", c => c.Steps);
        Write(MetricNames.GenerationPromptTokens, "Tokens of prompts that were read.", c => c.PromptTokens);
        Write(
            MetricNames.GenerationCached,
            "Tokens of prompts that were not read, because the cache contained them.",
            c => c.CachedTokens);
        Write(MetricNames.GenerationTokens, "Tokens that were generated.", c => c.GeneratedTokens);
        Write(
            MetricNames.GenerationRecomputed,
            "Tokens that were read again after a preemption.",
            c => c.RecomputedTokens);
        Write(MetricNames.GenerationPreemptions, "Texts that lost their row.", c => c.Preemptions);
        Write(MetricNames.GenerationAbandoned, "Texts whose reader stopped early.", c => c.Abandoned);
        text.StartFamily(
            MetricNames.GenerationWasted,
            "counter",
            "Tokens that were read or generated, and are part of no complete text.");
        foreach (var model in models)
        {
            var counters = model.Generation!.Counters;
            text.WriteSample(counters.AbandonedTokens, model.Labels(("why", "abandoned")));
            text.WriteSample(counters.FailedTokens, model.Labels(("why", "failed")));
            text.WriteSample(counters.RecomputedTokens, model.Labels(("why", "recomputed")));
        }

        void Write(string name, string help, Func<GenerationCounters, long> read) =>
            WriteFamily(text, models, name, "counter", help, g => read(g.Counters));
    }

    private static void WriteTexts(PrometheusText text, IReadOnlyList<ModelSnapshot> models)
    {
        text.StartFamily(MetricNames.GenerationEnded, "counter", "Texts that ended, by reason.");
        foreach (var model in models)
            foreach (var end in Enum.GetValues<GenerationEnd>())
                text.WriteSample(model.Generation!.Texts.Ends[(int)end], model.Labels(("reason", Name(end))));
        Write(MetricNames.GenerationPromptLength, "Tokens of the prompt of a complete text.", t => t.PromptTokens);
        Write(MetricNames.GenerationLength, "Generated tokens of a complete text.", t => t.GeneratedTokens);
        Write(MetricNames.GenerationBatch, "Texts that generated a token in one run.", t => t.Batch);
        Write(MetricNames.GenerationStepTokens, "Tokens of a step: read and generated ones.", t => t.StepTokens);

        void Write(string name, string help, Func<GenerationStatisticsView, HistogramView> read) =>
            WriteHistogram(text, models, name, help, read);
    }

    private static void WriteDurations(PrometheusText text, IReadOnlyList<ModelSnapshot> models)
    {
        Write(MetricNames.GenerationFirstToken, "Time from the arrival to the first token.", t => t.FirstToken);
        Write(MetricNames.GenerationInterToken, "Time between two tokens of a text.", t => t.InterToken);
        Write(MetricNames.GenerationDuration, "Time from the arrival to the last token.", t => t.Total);
        Write(MetricNames.GenerationQueue, "Time from the arrival to a row of the cache.", t => t.Queue);
        Write(MetricNames.GenerationPrefill, "Time from the row to the first token.", t => t.Prefill);
        Write(MetricNames.GenerationDecode, "Time from the first token to the last one.", t => t.Decode);

        void Write(string name, string help, Func<GenerationStatisticsView, HistogramView> read) =>
            WriteHistogram(text, models, name, help, read);
    }

    /// <summary>Returns the name of a reason, which is vLLM's too.</summary>
    public static string Name(GenerationEnd end) => end switch
    {
        GenerationEnd.Stop => "stop",
        GenerationEnd.Length => "length",
        GenerationEnd.Abort => "abort",
        _ => "error",
    };

    private static void WriteFamily(
        PrometheusText text,
        IReadOnlyList<ModelSnapshot> models,
        string name,
        string type,
        string help,
        Func<GenerationSnapshot, long> read)
    {
        text.StartFamily(name, type, help);
        foreach (var model in models) text.WriteSample(read(model.Generation!), model.Labels());
    }

    private static void WriteHistogram(
        PrometheusText text,
        IReadOnlyList<ModelSnapshot> models,
        string name,
        string help,
        Func<GenerationStatisticsView, HistogramView> read)
    {
        text.StartFamily(name, "histogram", help);
        foreach (var model in models) text.WriteHistogram(read(model.Generation!.Texts), model.Labels());
    }
}
