using System.Text.RegularExpressions;
using Sluice.Domain.Notation;

namespace Sluice.Hosting.Kubernetes;

/// <summary>Reads the settings of the Kubernetes host from environment variables.</summary>
public static partial class KubernetesSettingsReader
{
    /// <summary>Reads the settings.</summary>
    /// <param name="env">Returns the value of a variable, or null if it is not set.</param>
    /// <exception cref="InvalidOperationException">
    /// A variable has an invalid value. The message contains name, value and rule.
    /// </exception>
    public static KubernetesSettings Read(Func<string, string?> env)
    {
        string? Text(string name) => env(name) is { Length: > 0 } text ? text : null;

        var defaults = new KubernetesSettings();
        return new KubernetesSettings
        {
            Config = Text("SLUICE_KUBERNETES_CONFIG") ?? "",
            Context = Text("SLUICE_KUBERNETES_CONTEXT") ?? "",
            Namespace = Name("SLUICE_KUBERNETES_NAMESPACE") ?? "",
            Owner = Name("SLUICE_KUBERNETES_OWNER") ?? defaults.Owner,
            WorkerImage = Text("SLUICE_KUBERNETES_IMAGE") ?? defaults.WorkerImage,
            WorkerGpuImage = Text("SLUICE_KUBERNETES_GPU_IMAGE") ?? defaults.WorkerGpuImage,
            PullSecrets = Names("SLUICE_KUBERNETES_PULL_SECRETS"),
            Models = Claim("SLUICE_KUBERNETES_MODELS"),
            ModelStore = Claim("SLUICE_KUBERNETES_MODEL_STORE"),
            ModelUploads = Claim("SLUICE_KUBERNETES_MODEL_UPLOADS"),
            Cache = Claim("SLUICE_KUBERNETES_CACHE"),
            WorkerVariables = TelemetryEnvironment.Read(env),
            Mountable = Names("SLUICE_KUBERNETES_MOUNTS"),
            PodStorageClass = Name("SLUICE_KUBERNETES_POD_STORAGE_CLASS") ?? "",
            ScheduleTimeout = Timeout("SLUICE_KUBERNETES_SCHEDULE_TIMEOUT") ?? defaults.ScheduleTimeout,
            ReadNodes = Text("SLUICE_KUBERNETES_NODES") switch
            {
                null or "1" => true,
                "0" => false,
                var other => throw Invalid("SLUICE_KUBERNETES_NODES", other, "0 or 1"),
            },
        };

        string? Name(string name) => Text(name) is not { } text ? null
            : ObjectName().IsMatch(text) ? text
            : throw Invalid(name, text, "a name of lower-case letters, digits, '-' and '.'");

        string[] Names(string name) =>
        [
            .. (Text(name) ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
                .Select(n => ObjectName().IsMatch(n) ? n : throw Invalid(name, n, "names, separated by ','")),
        ];

        ClaimPath? Claim(string name)
        {
            if (Text(name) is not { } text) return null;
            var slash = text.IndexOf('/', StringComparison.Ordinal);
            var claim = slash < 0 ? text : text[..slash];
            var path = slash < 0 ? "" : text[(slash + 1)..].TrimEnd('/');
            return ObjectName().IsMatch(claim) && !path.Split('/').Any(p => p is "." or "..")
                && !path.StartsWith('/')
                ? new ClaimPath(claim, path)
                : throw Invalid(
                    name, text, "the name of a PersistentVolumeClaim, or CLAIM/FOLDER without '.' and '..'");
        }

        TimeSpan? Timeout(string name) => Text(name) is not { } text ? null
            : Duration.TryParse(text, out var parsed) && parsed > TimeSpan.Zero ? parsed
            : throw Invalid(name, text, "a duration, like 10m");
    }

    private static InvalidOperationException Invalid(string name, string value, string expected) =>
        new($"{name} is '{value}'; expected {expected}.");

    /// <summary>Names of objects: subdomains of RFC 1123 (kubernetes.io, "Object Names and IDs").</summary>
    [GeneratedRegex(@"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\z")]
    private static partial Regex ObjectName();
}
