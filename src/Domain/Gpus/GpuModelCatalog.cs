using System.Text.RegularExpressions;

namespace Sluice.Domain.Gpus;

/// <summary>
/// The GPU models that are used for inference. Sources. Compute capabilities: developer.nvidia.com/cuda-gpus. MIG
/// instances: the supported GPUs in NVIDIA's MIG user guide. NVLink: V100, A100, H100 with 6, 12 and 18 links of 50
/// GB/s in both directions (nvidia.com/data-center/nvlink); A40 112.5 GB/s (GA102 white paper); H200 and GH200 as H100;
/// fifth generation of Blackwell 1.8 TB/s; the bridge of the A30 (200 GB/s) has only secondary sources. Pools: RunPod,
/// docs.runpod.io/references/gpu-types.
/// </summary>
public static partial class GpuModelCatalog
{
    /// <summary>Minimum compute capability of CUDA 13, which does not support Volta.</summary>
    public static readonly ComputeCapability Cuda13Least = new(7, 5);

    /// <summary>
    /// The models, by architecture and then name. A GPU is of the first model whose words are all in its name.
    /// Therefore models with more words precede models with fewer words.
    /// </summary>
    public static IReadOnlyList<GpuModel> Models { get; } =
    [
        Model("V100-32", "V100", "Volta", new(7, 0), 32, nvLink: 300, words: "V100 32GB"),
        Model("V100-16", "V100", "Volta", new(7, 0), 16, nvLink: 300, words: "V100"),
        Model("T4", "T4", "Turing", new(7, 5), 16),
        Model("A2", "A2", "Ampere", new(8, 6), 16),
        Model("A10G", "A10", "Ampere", new(8, 6), 24),
        Model("A10", "A10", "Ampere", new(8, 6), 24),
        Model("A16", "A16", "Ampere", new(8, 6), 16),
        Model("A30", "A30", "Ampere", new(8, 0), 24, nvLink: 200, mig: 4),
        Model("A40", "A40", "Ampere", new(8, 6), 48, nvLink: 112.5, pool: "AMPERE_48"),
        Model("A100-80", "A100", "Ampere", new(8, 0), 80, nvLink: 600, mig: 7, pool: "AMPERE_80", words: "A100 80GB"),
        Model("A100-40", "A100", "Ampere", new(8, 0), 40, nvLink: 600, mig: 7, words: "A100"),
        Model("RTX-A4000", "RTX-A4000", "Ampere", new(8, 6), 16, pool: "AMPERE_16", words: "RTX A4000"),
        Model("RTX-A4500", "RTX-A4500", "Ampere", new(8, 6), 20, nvLink: 112.5, pool: "AMPERE_24", words: "RTX A4500"),
        Model("RTX-A5000", "RTX-A5000", "Ampere", new(8, 6), 24, nvLink: 112.5, pool: "AMPERE_24", words: "RTX A5000"),
        Model("RTX-A6000", "RTX-A6000", "Ampere", new(8, 6), 48, nvLink: 112.5, pool: "AMPERE_48", words: "RTX A6000"),
        Model("RTX-3090", "RTX-3090", "Ampere", new(8, 6), 24, nvLink: 112.5, pool: "AMPERE_24", words: "RTX 3090"),
        Model("L4", "L4", "Ada", new(8, 9), 24, pool: "ADA_24"),
        Model("L40S", "L40S", "Ada", new(8, 9), 48, pool: "ADA_48_PRO"),
        Model("L40", "L40", "Ada", new(8, 9), 48, pool: "ADA_48_PRO"),
        Model("RTX-4090", "RTX-4090", "Ada", new(8, 9), 24, pool: "ADA_24", words: "RTX 4090"),
        Model("RTX-2000-ADA", "RTX-2000-ADA", "Ada", new(8, 9), 16, pool: "AMPERE_16", words: "RTX 2000 Ada"),
        Model("RTX-4000-ADA", "RTX-4000-ADA", "Ada", new(8, 9), 20, pool: "AMPERE_16", words: "RTX 4000 Ada"),
        Model("RTX-6000-ADA", "RTX-6000-ADA", "Ada", new(8, 9), 48, pool: "ADA_48_PRO", words: "RTX 6000 Ada"),
        Model("H100-NVL", "H100", "Hopper", new(9, 0), 94, nvLink: 600, mig: 7, pool: "ADA_80_PRO", words: "H100 NVL"),
        Model("H100", "H100", "Hopper", new(9, 0), 80, nvLink: 900, mig: 7, pool: "ADA_80_PRO"),
        Model("H200", "H200", "Hopper", new(9, 0), 141, nvLink: 900, mig: 7, pool: "HOPPER_141"),
        Model("GH200", "GH200", "Hopper", new(9, 0), 96, nvLink: 900, mig: 7),
        Model("GB200", "GB200", "Blackwell", new(10, 0), 186, nvLink: 1800, mig: 7),
        Model("B200", "B200", "Blackwell", new(10, 0), 180, nvLink: 1800, mig: 7),
        Model("GB300", "GB300", "Blackwell", new(10, 3), 278, nvLink: 1800, mig: 7),
        Model("B300", "B300", "Blackwell", new(10, 3), 269, nvLink: 1800, mig: 7),
        Model("RTX-PRO-6000", "RTX-PRO-6000", "Blackwell", new(12, 0), 96, mig: 4, words: "RTX PRO 6000"),
        Model("RTX-5090", "RTX-5090", "Blackwell", new(12, 0), 32, pool: "ADA_32_PRO", words: "RTX 5090"),
    ];

    /// <summary>Pools that contain at least one model of the catalog.</summary>
    public static IReadOnlyList<string> Pools { get; } =
        [.. Models.Select(m => m.Pool).OfType<string>().Distinct().Order(StringComparer.Ordinal)];

    /// <summary>
    /// Returns the model of a GPU with this name in nvidia-smi; null if the catalog does not contain it.
    /// </summary>
    public static GpuModel? Find(string name)
    {
        // "A100-SXM4-80GB", "A100 80GB PCIe", "Tesla V100-SXM2-16GB-LS": the words are separated by any characters.
        var words = Word().Matches(name).Select(w => w.Value).ToHashSet(StringComparer.OrdinalIgnoreCase);
        return Models.FirstOrDefault(m => m.Words.All(words.Contains));
    }

    /// <summary>
    /// Whether an entry of a template's <c>gpu.types</c> can match a GPU: a model, a family, a pool, or a complete name
    /// as reported by nvidia-smi.
    /// </summary>
    public static bool IsKnownType(string type) => Models.Any(m => Names(m, type)) || FullName().IsMatch(type);

    /// <summary>
    /// Whether an entry of a template's <c>gpu.types</c> matches this GPU. The labels of Kubernetes have a hyphen where
    /// nvidia-smi has a space.
    /// </summary>
    public static bool IsMatch(string type, string name, GpuModel? model) =>
        type.Replace('-', ' ').Equals(name.Replace('-', ' '), StringComparison.OrdinalIgnoreCase)
        || (model is not null && Names(model, type));

    private static bool Names(GpuModel model, string type) =>
        type.Equals(model.Id, StringComparison.OrdinalIgnoreCase)
        || type.Equals(model.Family, StringComparison.OrdinalIgnoreCase)
        || type.Equals(model.Pool, StringComparison.OrdinalIgnoreCase);

    private static GpuModel Model(
        string id, string family, string architecture, ComputeCapability compute, int gb,
        double nvLink = 0, int mig = 0, string? pool = null, string? words = null) => new()
        {
            Id = id,
            Family = family,
            Architecture = architecture,
            ComputeCapability = compute,
            MemoryGb = gb,
            NvLinkGBps = nvLink,
            MigInstances = mig,
            Pool = pool,
            Words = (words ?? id).Split(' '),
        };

    [GeneratedRegex("[A-Za-z0-9]+")]
    private static partial Regex Word();

    [GeneratedRegex("^(NVIDIA|Tesla|Quadro|GRID|GeForce) [A-Za-z0-9 ._-]{1,80}\\z", RegexOptions.IgnoreCase)]
    private static partial Regex FullName();
}
