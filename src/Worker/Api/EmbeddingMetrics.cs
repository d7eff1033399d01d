using Sluice.Worker.Embeddings;
using Sluice.Worker.Statistics;

namespace Sluice.Worker.Api;

/// <summary>Writes the metrics of models that make embeddings.</summary>
internal static class EmbeddingMetrics
{
    /// <summary>Writes the families of the models; none without models.</summary>
    public static void Write(PrometheusText text, IReadOnlyList<ModelSnapshot> models)
    {
        if (models.Count == 0) return;
        // A model whose tokenizer no request needed yet has no counts.
        var all = models.Select(m => (Model: m, Counts: m.Model.LoadedEmbedder?.Statistics ?? EmbeddingStatistics.None))
            .ToList();
        Write(MetricNames.EmbeddingRequests, "counter", "Requests for embeddings.", s => s.Requests);
        Write(MetricNames.EmbeddingTexts, "counter", "Texts of these requests.", s => s.Texts);
        Write(MetricNames.EmbeddingTokens, "counter", "Tokens of these texts.", s => s.Tokens);
        Write(MetricNames.EmbeddingWaiting, "gauge", "Texts that wait for a run.", s => s.Waiting);
        WriteHistogram(MetricNames.EmbeddingBatch, "Texts of a run.", s => s.BatchTexts);
        WriteHistogram(MetricNames.EmbeddingBatchTokens, "Tokens of a run, with padding.", s => s.BatchTokens);

        void Write(string name, string type, string help, Func<EmbeddingStatistics, long> read)
        {
            text.StartFamily(name, type, help);
            foreach (var (model, counts) in all) text.WriteSample(read(counts), model.Labels());
        }

        void WriteHistogram(string name, string help, Func<EmbeddingStatistics, HistogramView> read)
        {
            text.StartFamily(name, "histogram", help);
            foreach (var (model, counts) in all) text.WriteHistogram(read(counts), model.Labels());
        }
    }
}
