using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace Sluice.Gateway.Observability;

/// <summary>Collects the measurements of this process' meters for <c>/metrics</c>.</summary>
public sealed class MetricsCollector : IHostedService, IDisposable
{
    /// <summary>The name prefixes of the collected meters.</summary>
    private static readonly string[] Listened = ["Sluice", "Microsoft.AspNetCore.Server.Kestrel", "System.Runtime"];

    private readonly ConcurrentDictionary<Instrument, MetricFamily> families = [];
    private readonly MeterListener listener = new();

    public Task StartAsync(CancellationToken cancellationToken)
    {
        listener.InstrumentPublished = (instrument, l) =>
        {
            if (!Listened.Any(name => instrument.Meter.Name.StartsWith(name, StringComparison.Ordinal))) return;
            l.EnableMeasurementEvents(instrument, families.GetOrAdd(instrument, i => new MetricFamily(i)));
        };
        listener.SetMeasurementEventCallback<long>((_, v, tags, family) => ((MetricFamily)family!).Record(v, tags));
        listener.SetMeasurementEventCallback<int>((_, v, tags, family) => ((MetricFamily)family!).Record(v, tags));
        listener.SetMeasurementEventCallback<double>((_, v, tags, family) => ((MetricFamily)family!).Record(v, tags));
        listener.Start();
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Observes the observable instruments and returns all families, ordered by name.</summary>
    public IReadOnlyList<MetricFamily> Collect()
    {
        foreach (var family in families.Values) family.BeforeObserving();
        listener.RecordObservableInstruments();
        return [.. families.Values.OrderBy(f => f.Name, StringComparer.Ordinal)];
    }

    public void Dispose() => listener.Dispose();
}
