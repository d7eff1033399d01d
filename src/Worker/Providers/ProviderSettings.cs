using System.Globalization;

namespace Sluice.Worker.Providers;

/// <summary>What happens when a wished execution provider cannot be had.</summary>
public enum ProviderPolicy
{
    /// <summary>The worker does not become ready, and says which piece is missing.</summary>
    Require,

    /// <summary>The provider is skipped, its reason kept and reported; the next in order serves, at last the CPU.</summary>
    Prefer,
}

/// <summary>What the environment wishes of execution providers; see docs/reference/worker-environment.md.</summary>
public sealed record ProviderSettings
{
    /// <summary>Every provider this worker knows, the fastest first.</summary>
    public static readonly IReadOnlyList<string> Known = ["tensorrt", "cuda", "webgpu", "cpu"];

    /// <summary>Providers in order of preference. The CPU always comes last, named or not.</summary>
    public IReadOnlyList<string> Wished { get; init; } = ["cpu"];

    public ProviderPolicy Policy { get; init; } = ProviderPolicy.Require;

    /// <summary>False: a model of which any node lands on the CPU is refused (when a GPU was wished).</summary>
    public bool AllowCpuNodes { get; init; } = true;

    /// <summary>By official names; see <see cref="ProviderOptionNames"/>.</summary>
    public IReadOnlyDictionary<string, string> Cuda { get; init; } = new Dictionary<string, string>();

    /// <inheritdoc cref="Cuda"/>
    public IReadOnlyDictionary<string, string> TensorRt { get; init; } = new Dictionary<string, string>();

    /// <inheritdoc cref="Cuda"/>
    public IReadOnlyDictionary<string, string> WebGpu { get; init; } = new Dictionary<string, string>();

    /// <summary>Folders searched for NVIDIA's libraries before the usual ones.</summary>
    public IReadOnlyList<string> CudaLibraryPath { get; init; } = [];

    /// <summary>Folder of TensorRT's engines and timing caches.</summary>
    public string TensorRtCache { get; init; } = Path.Combine(
        Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData), "sluice", "tensorrt");

    /// <summary>Largest batch an engine is built for; null: a model whose batch may vary must declare its profile.</summary>
    public int? TensorRtMaxBatch { get; init; }

    /// <summary>The wished ones with their options: what was made for one wish does not serve another.</summary>
    public IReadOnlyList<string> Names => [.. Wished.Select(w => string.Join(' ', (w switch { "cuda" => Cuda, "tensorrt" => TensorRt, "webgpu" => WebGpu,
        _ => new Dictionary<string, string>() }).OrderBy(o => o.Key, StringComparer.Ordinal).Select(o => $"{o.Key}={o.Value}").Prepend(w)))];

    /// <summary>A provider other than the CPU was asked for.</summary>
    public bool WishesGpu => Wished.Any(w => w != "cpu");

    /// <summary>Reads the environment; throws with name, value and what is expected.</summary>
    public static ProviderSettings Read(Func<string, string?> env)
    {
        var defaults = new ProviderSettings();
        string? Text(string name) => env(name) is { Length: > 0 } text ? text : null;
        var wished = Text("SLUICE_EXECUTION_PROVIDERS")?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        return new ProviderSettings
        {
            Wished = wished is { Length: > 0 } ? Checked(wished) : defaults.Wished,
            Policy = Text("SLUICE_PROVIDER_POLICY") switch
            {
                null or "require" => ProviderPolicy.Require,
                "prefer" => ProviderPolicy.Prefer,
                var other => throw new InvalidOperationException($"SLUICE_PROVIDER_POLICY is '{other}', expected require or prefer"),
            },
            AllowCpuNodes = Text("SLUICE_ALLOW_CPU_NODES") switch
            {
                null or "1" => true,
                "0" => false,
                var other => throw new InvalidOperationException($"SLUICE_ALLOW_CPU_NODES is '{other}', expected 0 or 1"),
            },
            Cuda = ProviderOptions.Parse("SLUICE_CUDA_OPTIONS", Text("SLUICE_CUDA_OPTIONS"), ProviderOptionNames.Cuda),
            TensorRt = ProviderOptions.Parse("SLUICE_TENSORRT_OPTIONS", Text("SLUICE_TENSORRT_OPTIONS"), ProviderOptionNames.TensorRt),
            WebGpu = ProviderOptions.Parse("SLUICE_WEBGPU_OPTIONS", Text("SLUICE_WEBGPU_OPTIONS"), ProviderOptionNames.WebGpu),
            CudaLibraryPath = Text("SLUICE_CUDA_LIBRARY_PATH")?.Split(':', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) ?? [],
            TensorRtCache = Text("SLUICE_TENSORRT_CACHE") ?? defaults.TensorRtCache,
            TensorRtMaxBatch = Batch(Text("SLUICE_TENSORRT_MAX_BATCH")),
        };
    }

    /// <summary>Throws when a name is unknown or comes twice.</summary>
    public static IReadOnlyList<string> Checked(IReadOnlyList<string> wished)
    {
        foreach (var name in wished)
            if (!Known.Contains(name))
                throw new InvalidOperationException($"SLUICE_EXECUTION_PROVIDERS has '{name}', expected some of "
                    + $"{string.Join(", ", Known)}; the nearest is '{ProviderOptions.Nearest(name, Known)}'");
        if (wished.Distinct().Count() < wished.Count)
            throw new InvalidOperationException($"SLUICE_EXECUTION_PROVIDERS is '{string.Join(",", wished)}', expected each name once");
        if (wished.Contains("cpu") && wished[^1] != "cpu")
            throw new InvalidOperationException($"SLUICE_EXECUTION_PROVIDERS is '{string.Join(",", wished)}', "
                + "expected cpu last: it takes every node that is left");
        return wished;
    }

    private static int? Batch(string? text)
    {
        if (text is null) return null;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n is >= 1 and <= 65536
            ? n : throw new InvalidOperationException($"SLUICE_TENSORRT_MAX_BATCH is '{text}', expected a number from 1 to 65536");
    }
}
