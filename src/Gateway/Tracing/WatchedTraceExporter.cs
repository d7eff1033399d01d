using System.Diagnostics;
using OpenTelemetry;
using OpenTelemetry.Exporter;

namespace Sluice.Gateway.Tracing;

/// <summary>Exports spans by OTLP, and reports the result of each export: the SDK itself writes no log.</summary>
internal sealed class WatchedTraceExporter(OtlpExporterOptions options, TraceExportWatch watch)
    : OtlpTraceExporter(options)
{
    public override ExportResult Export(in Batch<Activity> activityBatch)
    {
        var result = base.Export(activityBatch);
        watch.Record(result == ExportResult.Success);
        return result;
    }
}
