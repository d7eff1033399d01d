using System.Reflection;
using OpenTelemetry;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace Sluice.Gateway.Tracing;

/// <summary>
/// Exports the spans of this gateway by OTLP while it exists. Spans are sent in batches by another thread. If the
/// receiver is slow, spans are dropped, and requests do not wait.
/// </summary>
internal sealed class TraceExport : IDisposable
{
    private readonly OpenTelemetrySdk? sdk;

    /// <param name="settings">The settings. If tracing is off, nothing is created.</param>
    /// <param name="instance">The id of this gateway.</param>
    public TraceExport(TracingSettings settings, string instance)
    {
        if (!settings.IsEnabled) return;
        var version = Assembly.GetExecutingAssembly().GetName().Version?.ToString(3);
        sdk = OpenTelemetrySdk.Create(telemetry => telemetry
            .ConfigureResource(r => r.AddService(
                settings.ServiceName, serviceVersion: version, serviceInstanceId: instance))
            .WithTracing(t => t.AddSource(Spans.Source.Name).SetSampler(LinkSampler.Create(settings)))
            .UseOtlpExporter());
    }

    /// <summary>Sends the spans that are not sent yet, and stops.</summary>
    public void Dispose() => sdk?.Dispose();
}
