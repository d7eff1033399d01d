using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Prometheus;

namespace Sluice.Gateway.Observability;

/// <summary>
/// Collects the measurements of this process' meters for <c>/metrics</c>. Instruments that are recorded have collectors
/// for the life of the process. Instruments that are observed get new collectors at each scrape.
/// </summary>
public sealed class MetricsCollector : IHostedService, IDisposable
{
    /// <summary>The content type of the text format.</summary>
    public const string ContentType = PrometheusConstants.TextContentTypeWithVersionAndEncoding;

    /// <summary>The name prefixes of the collected meters.</summary>
    private static readonly string[] Listened = ["Sluice", "Microsoft.AspNetCore.Server.Kestrel", "System.Runtime"];

    private readonly Lock observing = new();
    private readonly ConcurrentDictionary<Instrument, MetricFamily> families = [];
    private readonly MeterListener listener = new();
    private readonly CollectorRegistry recorded = Metrics.NewCustomRegistry();

    public Task StartAsync(CancellationToken cancellationToken)
    {
        var factory = FactoryOf(recorded);
        listener.InstrumentPublished = (instrument, l) =>
        {
            if (!Listened.Any(name => instrument.Meter.Name.StartsWith(name, StringComparison.Ordinal))) return;
            l.EnableMeasurementEvents(instrument, families.GetOrAdd(instrument, i => new MetricFamily(i, factory)));
        };
        listener.SetMeasurementEventCallback<long>((_, v, tags, family) => ((MetricFamily)family!).Record(v, tags));
        listener.SetMeasurementEventCallback<int>((_, v, tags, family) => ((MetricFamily)family!).Record(v, tags));
        listener.SetMeasurementEventCallback<double>((_, v, tags, family) => ((MetricFamily)family!).Record(v, tags));
        listener.Start();
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Observes the observable instruments, and returns all families in the text format, in UTF-8.</summary>
    public async Task<byte[]> CollectAsync(CancellationToken ct)
    {
        var observed = Metrics.NewCustomRegistry();
        lock (observing)
        {
            var factory = FactoryOf(observed);
            foreach (var family in families.Values.Where(f => f.IsObservable)) family.StartObservation(factory);
            listener.RecordObservableInstruments();
        }

        using var text = new MemoryStream();
        await recorded.CollectAndExportAsTextAsync(text, ct);
        await observed.CollectAndExportAsTextAsync(text, ct);
        return text.ToArray();
    }

    public void Dispose() => listener.Dispose();

    /// <summary>Exemplars are off: no request has an Activity (ADR 37).</summary>
    private static MetricFactory FactoryOf(CollectorRegistry registry)
    {
        var factory = Metrics.WithCustomRegistry(registry);
        factory.ExemplarBehavior = ExemplarBehavior.NoExemplars();
        return factory;
    }
}
