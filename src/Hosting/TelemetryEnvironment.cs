namespace Sluice.Hosting;

/// <summary>
/// The variables of OpenTelemetry that the gateway passes to the built-in workers that it starts, so that their spans
/// reach the same receiver. Other programs get only the variables of their template, because the headers of the
/// exporter can contain a secret.
/// </summary>
public static class TelemetryEnvironment
{
    /// <summary>
    /// The variables of traces. OTEL_SERVICE_NAME is missing: it names the gateway, and a worker is another service.
    /// </summary>
    public static readonly IReadOnlyList<string> Names =
    [
        "OTEL_SDK_DISABLED", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_TRACES_EXPORTER",
        "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG",
        "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        "OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
        "OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_KEY",
        "OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT", "OTEL_BSP_MAX_QUEUE_SIZE",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    ];

    /// <summary>Returns those of the variables that are set.</summary>
    /// <param name="env">Returns the value of a variable, or null if it is not set.</param>
    public static IReadOnlyDictionary<string, string> Read(Func<string, string?> env) => Names
        .Where(n => env(n) is { Length: > 0 })
        .ToDictionary(n => n, n => env(n)!);
}
