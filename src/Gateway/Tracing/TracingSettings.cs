using System.Globalization;
using OpenTelemetry.Exporter;

namespace Sluice.Gateway.Tracing;

/// <summary>
/// Whether and how traces are exported, from the standard environment variables of OpenTelemetry. The SDK itself reads
/// those that are not here.
/// </summary>
public sealed record TracingSettings
{
    private const string Endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";
    private const string TracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    private const string GrpcName = "grpc";
    private const string HttpName = "http/protobuf";

    /// <summary>The path that HTTP receivers of traces have below the general endpoint.</summary>
    private const string TracesPath = "/v1/traces";

    private const string SamplerName = "OTEL_TRACES_SAMPLER";
    private const string SamplerArgument = "OTEL_TRACES_SAMPLER_ARG";

    /// <summary>The values of OTEL_TRACES_SAMPLER, as the specification of OpenTelemetry defines them.</summary>
    private static readonly string[] Samplers =
    [
        "always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off",
        "parentbased_traceidratio",
    ];

    /// <summary>Whether traces are exported: an OTLP endpoint is set, and the SDK is not disabled.</summary>
    public bool IsEnabled { get; private init; }

    /// <summary>The receiver, with its path; null: tracing is off.</summary>
    public Uri? Receiver { get; private init; }

    public OtlpExportProtocol Protocol { get; private init; } = OtlpExportProtocol.Grpc;

    /// <summary>The headers for the receiver, as the variable has them; null: none.</summary>
    public string? Headers { get; private init; }

    /// <summary>Maximum time of one export, in ms; null: the default of the SDK.</summary>
    public int? ExportTimeout { get; private init; }

    /// <summary>Time between two exports, in ms; null: the default of the SDK.</summary>
    public int? ExportDelay { get; private init; }

    /// <summary>The value of OTEL_TRACES_SAMPLER; the default is that of the specification.</summary>
    public string Sampler { get; private init; } = "parentbased_always_on";

    /// <summary>The share of the traces that a sampler with a ratio records, from 0 to 1.</summary>
    public double Ratio { get; private init; } = 1;

    /// <summary>The name of the gateway in the traces.</summary>
    public string ServiceName { get; private init; } = "sluice-gateway";

    /// <summary>Reads the settings from environment variables.</summary>
    /// <param name="env">Returns the value of a variable, or null if it is not set.</param>
    /// <exception cref="InvalidOperationException">A variable has an invalid value. The message contains name, value
    /// and rule.</exception>
    public static TracingSettings Read(Func<string, string?> env)
    {
        string? Text(string name) => env(name) is { Length: > 0 } text ? text : null;
        var settings = new TracingSettings();
        var hasEndpoint = false;
        foreach (var name in new[] { Endpoint, TracesEndpoint })
            if (Text(name) is { } url)
                hasEndpoint = IsUrl(url) ? true
                    : throw Invalid(name, url, "an http or https URL like http://127.0.0.1:4317");
        var exports = Text("OTEL_TRACES_EXPORTER") switch
        {
            null or "otlp" => true,
            "none" => false,
            var other => throw Invalid("OTEL_TRACES_EXPORTER", other, "otlp or none"),
        };
        // The specification: any value except "true" is false.
        var isDisabled = string.Equals(Text("OTEL_SDK_DISABLED"), "true", StringComparison.OrdinalIgnoreCase);
        var protocol = ReadProtocol(Text("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), Text("OTEL_EXPORTER_OTLP_PROTOCOL"));
        var sampler = Text(SamplerName) ?? settings.Sampler;
        if (!Samplers.Contains(sampler)) throw Invalid(SamplerName, sampler, string.Join(", ", Samplers));
        return settings with
        {
            IsEnabled = hasEndpoint && exports && !isDisabled,
            Receiver = FindReceiver(Text(TracesEndpoint), Text(Endpoint), protocol),
            Protocol = protocol,
            Headers = Text("OTEL_EXPORTER_OTLP_TRACES_HEADERS") ?? Text("OTEL_EXPORTER_OTLP_HEADERS"),
            ExportTimeout = ReadMs("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT") ?? ReadMs("OTEL_EXPORTER_OTLP_TIMEOUT"),
            ExportDelay = ReadMs("OTEL_BSP_SCHEDULE_DELAY"),
            Sampler = sampler,
            Ratio = sampler.EndsWith("ratio", StringComparison.Ordinal) ? ReadRatio(Text(SamplerArgument)) : 1,
            ServiceName = Text("OTEL_SERVICE_NAME") ?? settings.ServiceName,
        };

        // The specification: an invalid number counts as none.
        int? ReadMs(string name) =>
            int.TryParse(Text(name), NumberStyles.None, CultureInfo.InvariantCulture, out var ms) && ms > 0 ? ms : null;
    }

    /// <summary>
    /// Returns the receiver. The endpoint of traces is complete; over HTTP, the general one has the path of each signal
    /// below it.
    /// </summary>
    private static Uri? FindReceiver(string? traces, string? general, OtlpExportProtocol protocol) =>
        traces is not null ? new Uri(traces)
        : general is null ? null
        : new Uri(protocol == OtlpExportProtocol.Grpc ? general : general.TrimEnd('/') + TracesPath);

    private static OtlpExportProtocol ReadProtocol(string? traces, string? general) => (traces ?? general) switch
    {
        null or GrpcName => OtlpExportProtocol.Grpc,
        HttpName => OtlpExportProtocol.HttpProtobuf,
        var other => throw Invalid(
            traces is null ? "OTEL_EXPORTER_OTLP_PROTOCOL" : "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", other,
            $"{GrpcName} or {HttpName}"),
    };

    private static double ReadRatio(string? text)
    {
        if (text is null) return 1;
        return double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var ratio)
            && ratio is >= 0 and <= 1
            ? ratio : throw Invalid(SamplerArgument, text, "a number from 0 to 1");
    }

    private static bool IsUrl(string text) => Uri.TryCreate(text, UriKind.Absolute, out var url)
        && (url.Scheme == Uri.UriSchemeHttp || url.Scheme == Uri.UriSchemeHttps);

    private static InvalidOperationException Invalid(string name, string value, string expected) =>
        new($"{name} is '{value}'; expected {expected}.");
}
