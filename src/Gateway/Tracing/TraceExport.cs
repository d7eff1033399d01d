using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using Sluice.Shared;

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
    /// <param name="logger">Receives a line when exports begin to fail, and when they succeed again.</param>
    public TraceExport(TracingSettings settings, string instance, ILogger<TraceExport> logger)
    {
        if (!settings.IsEnabled) return;
        var exporter = new WatchedTraceExporter(OptionsOf(settings), new TraceExportWatch(settings.Receiver!, logger));
        // Its constructor reads the variables OTEL_BSP_*.
        var batches = new BatchExportActivityProcessorOptions();
        sdk = OpenTelemetrySdk.Create(telemetry => telemetry
            .ConfigureResource(r => r.AddService(
                settings.ServiceName, serviceVersion: ProductVersion.Number, serviceInstanceId: instance))
            .WithTracing(t => t.AddSource(Spans.Source.Name).SetSampler(LinkSampler.Create(settings))
                .AddProcessor(new BatchActivityExportProcessor(exporter, batches.MaxQueueSize,
                    settings.ExportDelay ?? batches.ScheduledDelayMilliseconds, batches.ExporterTimeoutMilliseconds,
                    batches.MaxExportBatchSize))));
    }

    /// <summary>Sends the spans that are not sent yet, and stops.</summary>
    public void Dispose() => sdk?.Dispose();

    private static OtlpExporterOptions OptionsOf(TracingSettings settings)
    {
        var options = new OtlpExporterOptions { Endpoint = settings.Receiver!, Protocol = settings.Protocol };
        if (settings.Headers is { } headers) options.Headers = headers;
        if (settings.ExportTimeout is { } timeout) options.TimeoutMilliseconds = timeout;
        return options;
    }
}
