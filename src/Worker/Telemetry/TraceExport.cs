using System.Reflection;
using System.Runtime.CompilerServices;
using OpenTelemetry;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using Sluice.Worker.Configuration;

namespace Sluice.Worker.Telemetry;

/// <summary>
/// Exports the spans of the worker by OTLP, if the standard variables of OpenTelemetry name a receiver. If not, none of
/// its assemblies is loaded, so that the cold start does not change.
/// </summary>
internal static class TraceExport
{
    private const string DefaultName = "sluice-worker";

    /// <summary>Starts the export. Disposing sends the spans that are not sent yet.</summary>
    /// <param name="env">Returns the value of a variable, or null if it is not set.</param>
    /// <param name="instance">The id of the pod.</param>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static IDisposable Start(Func<string, string?> env, string instance)
    {
        var version = Assembly.GetExecutingAssembly().GetName().Version?.ToString(3);
        var name = WorkerSettings.Text(env, "OTEL_SERVICE_NAME") ?? DefaultName;
        return OpenTelemetrySdk.Create(telemetry => telemetry
            .ConfigureResource(r => r.AddService(name, serviceVersion: version, serviceInstanceId: instance))
            // The gateway has decided: only requests of recorded traces have spans.
            .WithTracing(t => t
                .AddSource(WorkerSpans.Source.Name)
                .SetSampler(new ParentBasedSampler(new AlwaysOffSampler())))
            .UseOtlpExporter());
    }
}
