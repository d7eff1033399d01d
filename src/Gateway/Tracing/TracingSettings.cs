using System.Globalization;

namespace Sluice.Gateway.Tracing;

/// <summary>
/// Whether and how traces are exported, from the standard environment variables of OpenTelemetry. The SDK reads the
/// variables of the exporter itself.
/// </summary>
public sealed record TracingSettings
{
    private const string Endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";
    private const string TracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
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
        var sampler = Text(SamplerName) ?? settings.Sampler;
        if (!Samplers.Contains(sampler)) throw Invalid(SamplerName, sampler, string.Join(", ", Samplers));
        return settings with
        {
            IsEnabled = hasEndpoint && exports && !isDisabled,
            Sampler = sampler,
            Ratio = sampler.EndsWith("ratio", StringComparison.Ordinal) ? ReadRatio(Text(SamplerArgument)) : 1,
            ServiceName = Text("OTEL_SERVICE_NAME") ?? settings.ServiceName,
        };
    }

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
