using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace Sluice.Gateway.Operations;

/// <summary>Listens to this process' meters and keeps what a scrape of <c>/metrics</c> tells.</summary>
public sealed class MetricsCollector : IHostedService, IDisposable
{
    /// <summary>Meters by the beginning of their name.</summary>
    private static readonly string[] Listened = ["Sluice.", "Microsoft.AspNetCore.Server.Kestrel", "System.Runtime"];

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

    /// <summary>All families by name, the observable ones read now.</summary>
    public IReadOnlyList<MetricFamily> Collect()
    {
        foreach (var family in families.Values) family.BeforeObserving();
        listener.RecordObservableInstruments();
        return [.. families.Values.OrderBy(f => f.Name, StringComparer.Ordinal)];
    }

    public void Dispose() => listener.Dispose();
}
