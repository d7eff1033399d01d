using System.Globalization;
using System.Net;
using Sluice.Worker.Models;
using Sluice.Worker.Models.Cache;
using Sluice.Worker.Models.Inspection;
using Sluice.Worker.Providers;

namespace Sluice.Worker;

/// <summary>What the worker is told by its environment; see the README's table.</summary>
public sealed record WorkerSettings
{
    /// <summary>Address to listen on.</summary>
    public IPAddress Bind { get; init; } = IPAddress.Loopback;

    /// <summary>Port for HTTP/2 with prior knowledge (h2c); 0: a free one.</summary>
    public int Port { get; init; }

    /// <summary>A second port, for HTTP/1.1: cleartext cannot tell the two apart. Null: none.</summary>
    public int? Http1Port { get; init; }

    /// <summary>Every request must carry it; null only with SLUICE_ALLOW_NO_TOKEN=1.</summary>
    public string? PodToken { get; init; }

    public string PodId { get; init; } = "-";

    public string ModelRepository { get; init; } = "models";

    /// <summary>Models to serve; empty: all in the repository.</summary>
    public IReadOnlyList<string> Models { get; init; } = [];

    /// <summary>What the models shall run on.</summary>
    public ProviderSettings Providers { get; init; } = new();

    /// <summary>Which versions of each model.</summary>
    public VersionPolicy Versions { get; init; } = VersionPolicy.Default;

    /// <summary>Models may be loaded and unloaded over HTTP. Off: whoever may change models runs code here.</summary>
    public bool ExplicitControl { get; init; }

    /// <summary>How often the repository is looked at for changes; zero: never.</summary>
    public TimeSpan Poll { get; init; }

    public BatchLimits Batching { get; init; } = new();

    /// <summary>What a model file may ask for.</summary>
    public ModelLimits Limits { get; init; } = new();

    /// <summary>Optimised copies of models.</summary>
    public CacheSettings Cache { get; init; } = new();

    /// <summary>Largest request body. Triton's default is 64 MiB.</summary>
    public long MaxBodyBytes { get; init; } = 64L << 20;

    /// <summary>Most bytes of an inference's outputs.</summary>
    public long MaxOutputBytes { get; init; } = 64L << 20;

    /// <summary>How long SIGTERM waits for requests in flight.</summary>
    public TimeSpan Drain { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>Reads the environment; throws with name, value and what is expected.</summary>
    public static WorkerSettings Read(Func<string, string?> env)
    {
        var token = Text(env, "SLUICE_POD_TOKEN");
        if (token is null && Text(env, "SLUICE_ALLOW_NO_TOKEN") != "1")
            throw new InvalidOperationException("SLUICE_POD_TOKEN is not set: everyone could use this worker. Set it, "
                + "or SLUICE_ALLOW_NO_TOKEN=1");
        var defaults = new WorkerSettings();
        return new WorkerSettings
        {
            Bind = Text(env, "SLUICE_BIND") is not { } bind ? defaults.Bind : IPAddress.TryParse(bind, out var address)
                ? address : throw new InvalidOperationException($"SLUICE_BIND is '{bind}', expected an IP address"),
            Port = (int)(Number(env, "SLUICE_PORT", 0, 65535) ?? 0),
            Http1Port = (int?)Number(env, "SLUICE_HTTP1_PORT", 0, 65535),
            PodToken = token,
            PodId = Text(env, "SLUICE_POD_ID") ?? defaults.PodId,
            ModelRepository = Text(env, "SLUICE_MODEL_REPOSITORY") ?? defaults.ModelRepository,
            Models = List(env, "SLUICE_MODELS") ?? defaults.Models,
            Providers = ProviderSettings.Read(env),
            Versions = Text(env, "SLUICE_MODEL_VERSIONS") is not { } versions ? defaults.Versions : VersionPolicy.Parse(versions)
                ?? throw new InvalidOperationException($"SLUICE_MODEL_VERSIONS is '{versions}', expected latest, latest:N, all, or versions like 1,3"),
            ExplicitControl = Text(env, "SLUICE_MODEL_CONTROL") switch
            {
                null or "none" => false,
                "explicit" => true,
                var other => throw new InvalidOperationException($"SLUICE_MODEL_CONTROL is '{other}', expected none or explicit"),
            },
            Poll = TimeSpan.FromSeconds(Number(env, "SLUICE_REPOSITORY_POLL_SECONDS", 0, 86400) ?? 0),
            Batching = new BatchLimits((int)(Number(env, "SLUICE_MAX_BATCH", 0, 4096) ?? defaults.Batching.MaxRows),
                (int)(Number(env, "SLUICE_MAX_QUEUE", 1, 1_000_000) ?? defaults.Batching.MaxQueue)),
            Limits = ModelLimits.Read(env),
            Cache = CacheSettings.Read(env),
            MaxBodyBytes = Number(env, "SLUICE_MAX_BODY_BYTES", 1, 16L << 30) ?? defaults.MaxBodyBytes,
            MaxOutputBytes = Number(env, "SLUICE_MAX_OUTPUT_BYTES", 1, 16L << 30) ?? defaults.MaxOutputBytes,
            Drain = Number(env, "SLUICE_DRAIN_SECONDS", 0, 604800) is { } s ? TimeSpan.FromSeconds(s) : defaults.Drain,
        };
    }

    internal static string? Text(Func<string, string?> env, string name) => env(name) is { Length: > 0 } text ? text : null;

    internal static string[]? List(Func<string, string?> env, string name) =>
        Text(env, name)?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    internal static long? Number(Func<string, string?> env, string name, long least, long most)
    {
        if (Text(env, name) is not { } text) return null;
        return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n >= least && n <= most
            ? n : throw new InvalidOperationException($"{name} is '{text}', expected a number from {least} to {most}");
    }
}
