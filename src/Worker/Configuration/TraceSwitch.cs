namespace Sluice.Worker.Configuration;

/// <summary>
/// Decides whether the standard variables of OpenTelemetry request an export of traces. The SDK reads the others.
/// </summary>
internal static class TraceSwitch
{
    private static readonly string[] Endpoints =
        ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];

    /// <summary>Whether a receiver is set, and nothing turns the export off.</summary>
    /// <param name="env">Returns the value of a variable, or null if it is not set.</param>
    /// <exception cref="InvalidOperationException">A receiver is not a URL.</exception>
    public static bool IsOn(Func<string, string?> env)
    {
        var hasReceiver = false;
        foreach (var name in Endpoints)
            if (WorkerSettings.Text(env, name) is { } url)
                hasReceiver = IsUrl(url)
                    ? true
                    : throw new InvalidOperationException(
                        $"{name} is '{url}'; expected an http or https URL like http://127.0.0.1:4317.");
        // The specification: any value of OTEL_SDK_DISABLED except "true" is false.
        return hasReceiver
            && WorkerSettings.Text(env, "OTEL_TRACES_EXPORTER") is null or "otlp"
            && !string.Equals(env("OTEL_SDK_DISABLED"), "true", StringComparison.OrdinalIgnoreCase);
    }

    private static bool IsUrl(string text) => Uri.TryCreate(text, UriKind.Absolute, out var url)
        && (url.Scheme == Uri.UriSchemeHttp || url.Scheme == Uri.UriSchemeHttps);
}
