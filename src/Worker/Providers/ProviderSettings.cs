using System.Globalization;
using System.Text.Json.Serialization;

namespace Sluice.Worker.Providers;

/// <summary>Settings of execution providers from the environment. See docs/reference/worker-environment.md.</summary>
public sealed record ProviderSettings
{
    /// <summary>All providers that this worker supports, fastest first.</summary>
    public static readonly IReadOnlyList<string> Known = ["tensorrt", "cuda", "webgpu", "cpu"];

    private const StringSplitOptions Trimmed = StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries;

    /// <summary>Requested providers in order of preference. The CPU is always last, listed or not.</summary>
    [JsonPropertyName("wished")]
    public IReadOnlyList<string> Requested { get; init; } = ["cpu"];

    public ProviderPolicy Policy { get; init; } = ProviderPolicy.Require;

    /// <summary>False: a model with a node on the CPU is refused if a GPU is requested.</summary>
    public bool AllowCpuNodes { get; init; } = true;

    /// <summary>Options by official name. See <see cref="ProviderOptionNames"/>.</summary>
    public IReadOnlyDictionary<string, string> Cuda { get; init; } = new Dictionary<string, string>();

    /// <inheritdoc cref="Cuda"/>
    public IReadOnlyDictionary<string, string> TensorRt { get; init; } = new Dictionary<string, string>();

    /// <inheritdoc cref="Cuda"/>
    public IReadOnlyDictionary<string, string> WebGpu { get; init; } = new Dictionary<string, string>();

    /// <summary>Folders that are searched for NVIDIA's libraries before the default ones.</summary>
    public IReadOnlyList<string> CudaLibraryPath { get; init; } = [];

    /// <summary>Folder of TensorRT's engines and timing caches.</summary>
    public string TensorRtCache { get; init; } = Path.Combine(
        Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData), "sluice", "tensorrt");

    /// <summary>
    /// Largest batch for which an engine is built. Null: a model with a variable batch size must declare its profile.
    /// </summary>
    public int? TensorRtMaxBatch { get; init; }

    /// <summary>The requested providers with their options. A copy or engine is valid only for equal options.</summary>
    public IReadOnlyList<string> Names => [.. Requested.Select(NameWithOptions)];

    /// <summary>True if a provider other than the CPU is requested.</summary>
    [JsonPropertyName("wishesGpu")]
    public bool RequestsGpu => Requested.Any(p => p != "cpu");

    /// <summary>Reads the environment. Throws with name, value and rule if a value is invalid.</summary>
    public static ProviderSettings Read(Func<string, string?> env)
    {
        var defaults = new ProviderSettings();
        string? Text(string name) => env(name) is { Length: > 0 } text ? text : null;
        IReadOnlyDictionary<string, string> Options(string name, IReadOnlyList<string> known) =>
            ProviderOptions.Parse(name, Text(name), known);
        var requested = Text("SLUICE_EXECUTION_PROVIDERS")?.Split(',', Trimmed);
        return new ProviderSettings
        {
            Requested = requested is { Length: > 0 } ? Checked(requested) : defaults.Requested,
            Policy = Text("SLUICE_PROVIDER_POLICY") switch
            {
                null or "require" => ProviderPolicy.Require,
                "prefer" => ProviderPolicy.Prefer,
                var other => throw new InvalidOperationException(
                    $"SLUICE_PROVIDER_POLICY is '{other}'; expected require or prefer"),
            },
            AllowCpuNodes = Text("SLUICE_ALLOW_CPU_NODES") switch
            {
                null or "1" => true,
                "0" => false,
                var other => throw new InvalidOperationException(
                    $"SLUICE_ALLOW_CPU_NODES is '{other}'; expected 0 or 1"),
            },
            Cuda = Options("SLUICE_CUDA_OPTIONS", ProviderOptionNames.Cuda),
            TensorRt = Options("SLUICE_TENSORRT_OPTIONS", ProviderOptionNames.TensorRt),
            WebGpu = Options("SLUICE_WEBGPU_OPTIONS", ProviderOptionNames.WebGpu),
            CudaLibraryPath = Text("SLUICE_CUDA_LIBRARY_PATH")?.Split(':', Trimmed) ?? [],
            TensorRtCache = Text("SLUICE_TENSORRT_CACHE") ?? defaults.TensorRtCache,
            TensorRtMaxBatch = Batch(Text("SLUICE_TENSORRT_MAX_BATCH")),
        };
    }

    /// <summary>Checks a list of providers. Throws if a name is unknown or occurs twice.</summary>
    public static IReadOnlyList<string> Checked(IReadOnlyList<string> requested)
    {
        foreach (var name in requested)
            if (!Known.Contains(name))
                throw new InvalidOperationException($"SLUICE_EXECUTION_PROVIDERS has '{name}'; expected some of "
                    + $"{string.Join(", ", Known)}; the nearest is '{ProviderOptions.Nearest(name, Known)}'");
        var list = string.Join(",", requested);
        if (requested.Distinct().Count() < requested.Count)
            throw new InvalidOperationException($"SLUICE_EXECUTION_PROVIDERS is '{list}'; expected each name once");
        if (requested.Contains("cpu") && requested[^1] != "cpu")
            throw new InvalidOperationException($"SLUICE_EXECUTION_PROVIDERS is '{list}'; "
                + "expected cpu last, because it runs every remaining node");
        return requested;
    }

    private string NameWithOptions(string provider) => string.Join(' ', ProviderAppender.OptionsFor(provider, this)
        .OrderBy(o => o.Key, StringComparer.Ordinal)
        .Select(o => $"{o.Key}={o.Value}")
        .Prepend(provider));

    private static int? Batch(string? text)
    {
        if (text is null) return null;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n is >= 1 and <= 65536
            ? n
            : throw new InvalidOperationException(
                $"SLUICE_TENSORRT_MAX_BATCH is '{text}'; expected a number from 1 to 65536");
    }
}
