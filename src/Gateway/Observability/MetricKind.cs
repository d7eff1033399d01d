namespace Sluice.Gateway.Observability;

/// <summary>The type of a metric in Prometheus.</summary>
internal enum MetricKind
{
    Counter,
    Gauge,
    Histogram,
}
