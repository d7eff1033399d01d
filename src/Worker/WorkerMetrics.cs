using System.Diagnostics.Metrics;

namespace Sluice.Worker;

/// <summary>What the worker counts.</summary>
internal static class WorkerMetrics
{
    private static readonly Meter Meter = new("Sluice.Worker");

    private static readonly Counter<long> Tokens = Meter.CreateCounter<long>("sluice.worker.tokens", "{token}",
        "Tokens generated.");

    private static readonly Histogram<double> Infer = Meter.CreateHistogram<double>("sluice.worker.infer.duration", "s",
        "One run of a model, the wait for a free lane included.");

    public static void Inferred(string model, TimeSpan took) =>
        Infer.Record(took.TotalSeconds, KeyValuePair.Create("model", (object?)model));

    public static void Token(string model) => Tokens.Add(1, KeyValuePair.Create("model", (object?)model));
}
