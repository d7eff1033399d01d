using System.Globalization;
using System.Net;
using Sluice.Worker.Devices;
using Sluice.Worker.Models;
using Sluice.Worker.Providers;

namespace Sluice.Worker.Configuration;

/// <summary>Settings of the worker, from environment variables; see docs/reference/worker-environment.md.</summary>
public sealed record WorkerSettings
{
    /// <summary>Address to listen on.</summary>
    public IPAddress Bind { get; init; } = IPAddress.Loopback;

    /// <summary>Port for HTTP/2 with prior knowledge (h2c); 0: a free port.</summary>
    public int Port { get; init; }

    /// <summary>
    /// Separate port for HTTP/1.1; null: none. It is needed because a cleartext port cannot distinguish HTTP/1.1 and
    /// HTTP/2.
    /// </summary>
    public int? Http1Port { get; init; }

    /// <summary>Token that every request must contain; null only with SLUICE_ALLOW_NO_TOKEN=1.</summary>
    public string? PodToken { get; init; }

    /// <summary>Id of the worker's pod.</summary>
    public string PodId { get; init; } = "-";

    /// <summary>Whether the gateway wants to know which GPUs this worker got.</summary>
    public bool ReportsDevices { get; init; }

    /// <summary>Path of the model repository.</summary>
    public string ModelRepository { get; init; } = "models";

    /// <summary>Models to serve; empty: all models of the repository.</summary>
    public IReadOnlyList<string> Models { get; init; } = [];

    /// <summary>Execution providers of the models.</summary>
    public ProviderSettings Providers { get; init; } = new();

    /// <summary>Versions of each model to serve.</summary>
    public VersionPolicy Versions { get; init; } = VersionPolicy.Default;

    /// <summary>
    /// Whether models can be loaded and unloaded over HTTP. Off by default, because a caller that can change models
    /// can run code in the worker.
    /// </summary>
    public bool ExplicitControl { get; init; }

    /// <summary>Interval between checks of the repository for changes; zero: never.</summary>
    public TimeSpan Poll { get; init; }

    /// <summary>Limits of batches and of the queue.</summary>
    public BatchLimits Batching { get; init; } = new();

    /// <summary>Limits of a model file.</summary>
    public ModelLimits Limits { get; init; } = new();

    /// <summary>Cache of optimized models.</summary>
    public CacheSettings Cache { get; init; } = new();

    /// <summary>Maximum size of a request body, in bytes. The default of 64 MiB is Triton's.</summary>
    public long MaxBodyBytes { get; init; } = 64L << 20;

    /// <summary>Limits of the text generation of each model.</summary>
    public GenerationLimits Generation { get; init; } = new();

    /// <summary>Maximum size of all outputs of an inference, in bytes.</summary>
    public long MaxOutputBytes { get; init; } = 64L << 20;

    /// <summary>Whether traces are exported, as the variables of OpenTelemetry request it.</summary>
    public bool ExportsTraces { get; init; }

    /// <summary>Maximum wait for requests in flight after SIGTERM.</summary>
    public TimeSpan Drain { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>Reads the settings from environment variables.</summary>
    /// <exception cref="InvalidOperationException">
    /// A variable is invalid; the message contains its name, its value and the expected value.
    /// </exception>
    public static WorkerSettings Read(Func<string, string?> env)
    {
        var token = Text(env, "SLUICE_POD_TOKEN");
        if (token is null && Text(env, "SLUICE_ALLOW_NO_TOKEN") != "1")
            throw new InvalidOperationException(
                "SLUICE_POD_TOKEN is not set: every process that can connect could use this worker. "
                + "Set it, or set SLUICE_ALLOW_NO_TOKEN=1.");
        var defaults = new WorkerSettings();
        return new WorkerSettings
        {
            Bind = ReadAddress(env) ?? defaults.Bind,
            Port = (int)(Number(env, "SLUICE_PORT", 0, 65535) ?? 0),
            Http1Port = (int?)Number(env, "SLUICE_HTTP1_PORT", 0, 65535),
            PodToken = token,
            PodId = Text(env, "SLUICE_POD_ID") ?? defaults.PodId,
            ReportsDevices = Text(env, DeviceReporter.Variable) == "1",
            ModelRepository = Text(env, "SLUICE_MODEL_REPOSITORY") ?? defaults.ModelRepository,
            Models = List(env, "SLUICE_MODELS") ?? defaults.Models,
            Providers = ProviderSettings.Read(env),
            Versions = ReadVersions(env) ?? defaults.Versions,
            ExplicitControl = Text(env, "SLUICE_MODEL_CONTROL") switch
            {
                null or "none" => false,
                "explicit" => true,
                var other => throw new InvalidOperationException(
                    $"SLUICE_MODEL_CONTROL is '{other}'; expected none or explicit."),
            },
            Poll = TimeSpan.FromSeconds(Number(env, "SLUICE_REPOSITORY_POLL_SECONDS", 0, 86400) ?? 0),
            Batching = new BatchLimits(
                (int)(Number(env, "SLUICE_MAX_BATCH", 0, 4096) ?? defaults.Batching.MaxRows),
                (int)(Number(env, "SLUICE_MAX_QUEUE", 1, 1_000_000) ?? defaults.Batching.MaxQueue)),
            Generation = new GenerationLimits(
                (int)(Number(env, "SLUICE_MAX_SEQUENCES", 1, 4096) ?? defaults.Generation.MaxSequences),
                Number(env, "SLUICE_KV_CACHE_BYTES", 1, 1L << 50),
                MaxQueueTokens: Number(env, "SLUICE_MAX_QUEUE_TOKENS", 1, 1L << 40)
                    ?? defaults.Generation.MaxQueueTokens,
                PrefixCache: Text(env, "SLUICE_PREFIX_CACHE") switch
                {
                    null or "key" => PrefixCache.Key,
                    "shared" => PrefixCache.Shared,
                    "off" => PrefixCache.Off,
                    var other => throw new InvalidOperationException(
                        $"SLUICE_PREFIX_CACHE is '{other}'; expected key, shared or off."),
                },
                Threads: (int?)Number(env, "SLUICE_GENERATION_THREADS", 1, 1024)),
            Limits = ModelLimits.Read(env),
            Cache = CacheSettings.Read(env),
            MaxBodyBytes = Number(env, "SLUICE_MAX_BODY_BYTES", 1, 16L << 30) ?? defaults.MaxBodyBytes,
            MaxOutputBytes = Number(env, "SLUICE_MAX_OUTPUT_BYTES", 1, 16L << 30) ?? defaults.MaxOutputBytes,
            ExportsTraces = TraceSwitch.IsOn(env),
            Drain = Number(env, "SLUICE_DRAIN_SECONDS", 0, 604800) is { } s ? TimeSpan.FromSeconds(s) : defaults.Drain,
        };
    }

    private static IPAddress? ReadAddress(Func<string, string?> env)
    {
        if (Text(env, "SLUICE_BIND") is not { } text) return null;
        return IPAddress.TryParse(text, out var address)
            ? address
            : throw new InvalidOperationException($"SLUICE_BIND is '{text}'; expected an IP address.");
    }

    private static VersionPolicy? ReadVersions(Func<string, string?> env)
    {
        if (Text(env, "SLUICE_MODEL_VERSIONS") is not { } text) return null;
        return VersionPolicy.Parse(text) ?? throw new InvalidOperationException(
            $"SLUICE_MODEL_VERSIONS is '{text}'; expected latest, latest:N, all, or versions like 1,3.");
    }

    /// <summary>Returns the value of a variable; null if it is not set or empty.</summary>
    internal static string? Text(Func<string, string?> env, string name) =>
        env(name) is { Length: > 0 } text ? text : null;

    /// <summary>Returns the comma-separated values of a variable; null if it is not set or empty.</summary>
    internal static string[]? List(Func<string, string?> env, string name) =>
        Text(env, name)?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Returns the value of a variable as a number; null if it is not set or empty.</summary>
    /// <exception cref="InvalidOperationException">The value is not a number in the range.</exception>
    internal static long? Number(Func<string, string?> env, string name, long least, long most)
    {
        if (Text(env, name) is not { } text) return null;
        return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var n)
            && n >= least
            && n <= most
            ? n
            : throw new InvalidOperationException($"{name} is '{text}'; expected a number from {least} to {most}.");
    }
}
