using System.Text.RegularExpressions;

namespace Sluice.Core.Gpus;

/// <summary>
/// The kinds of GPUs that inference runs on. Compute capabilities: developer.nvidia.com/cuda-gpus. MIG instances: NVIDIA's MIG user
/// guide, supported GPUs. NVLink: V100, A100, H100 6, 12 and 18 links of 50 GB/s both ways (nvidia.com/data-center/nvlink);
/// A40 112.5 GB/s (GA102 white paper); H200 and GH200 as H100; Blackwell's fifth generation 1.8 TB/s; A30's bridge (200 GB/s) has only secondary
/// sources. Pools: RunPod's, docs.runpod.io/references/gpu-types.
/// </summary>
public static partial class Catalogue
{
    /// <summary>CUDA 13 dropped Volta.</summary>
    public static readonly ComputeCapability Cuda13Least = new(7, 5);

    /// <summary>By architecture, then name. The first whose words are all in a GPU's name is its kind: those with more words stand before those with
    /// fewer.</summary>
    public static IReadOnlyList<GpuModel> Models { get; } =
    [
        Kind("V100-32", "V100", "Volta", new(7, 0), 32, nvLink: 300, words: "V100 32GB"),
        Kind("V100-16", "V100", "Volta", new(7, 0), 16, nvLink: 300, words: "V100"),
        Kind("T4", "T4", "Turing", new(7, 5), 16),
        Kind("A2", "A2", "Ampere", new(8, 6), 16),
        Kind("A10G", "A10", "Ampere", new(8, 6), 24),
        Kind("A10", "A10", "Ampere", new(8, 6), 24),
        Kind("A16", "A16", "Ampere", new(8, 6), 16),
        Kind("A30", "A30", "Ampere", new(8, 0), 24, nvLink: 200, mig: 4),
        Kind("A40", "A40", "Ampere", new(8, 6), 48, nvLink: 112.5, pool: "AMPERE_48"),
        Kind("A100-80", "A100", "Ampere", new(8, 0), 80, nvLink: 600, mig: 7, pool: "AMPERE_80", words: "A100 80GB"),
        Kind("A100-40", "A100", "Ampere", new(8, 0), 40, nvLink: 600, mig: 7, words: "A100"),
        Kind("RTX-A4000", "RTX-A4000", "Ampere", new(8, 6), 16, pool: "AMPERE_16", words: "RTX A4000"),
        Kind("RTX-A4500", "RTX-A4500", "Ampere", new(8, 6), 20, nvLink: 112.5, pool: "AMPERE_24", words: "RTX A4500"),
        Kind("RTX-A5000", "RTX-A5000", "Ampere", new(8, 6), 24, nvLink: 112.5, pool: "AMPERE_24", words: "RTX A5000"),
        Kind("RTX-A6000", "RTX-A6000", "Ampere", new(8, 6), 48, nvLink: 112.5, pool: "AMPERE_48", words: "RTX A6000"),
        Kind("RTX-3090", "RTX-3090", "Ampere", new(8, 6), 24, nvLink: 112.5, pool: "AMPERE_24", words: "RTX 3090"),
        Kind("L4", "L4", "Ada", new(8, 9), 24, pool: "ADA_24"),
        Kind("L40S", "L40S", "Ada", new(8, 9), 48, pool: "ADA_48_PRO"),
        Kind("L40", "L40", "Ada", new(8, 9), 48, pool: "ADA_48_PRO"),
        Kind("RTX-4090", "RTX-4090", "Ada", new(8, 9), 24, pool: "ADA_24", words: "RTX 4090"),
        Kind("RTX-2000-ADA", "RTX-2000-ADA", "Ada", new(8, 9), 16, pool: "AMPERE_16", words: "RTX 2000 Ada"),
        Kind("RTX-4000-ADA", "RTX-4000-ADA", "Ada", new(8, 9), 20, pool: "AMPERE_16", words: "RTX 4000 Ada"),
        Kind("RTX-6000-ADA", "RTX-6000-ADA", "Ada", new(8, 9), 48, pool: "ADA_48_PRO", words: "RTX 6000 Ada"),
        Kind("H100-NVL", "H100", "Hopper", new(9, 0), 94, nvLink: 600, mig: 7, pool: "ADA_80_PRO", words: "H100 NVL"),
        Kind("H100", "H100", "Hopper", new(9, 0), 80, nvLink: 900, mig: 7, pool: "ADA_80_PRO"),
        Kind("H200", "H200", "Hopper", new(9, 0), 141, nvLink: 900, mig: 7, pool: "HOPPER_141"),
        Kind("GH200", "GH200", "Hopper", new(9, 0), 96, nvLink: 900, mig: 7),
        Kind("GB200", "GB200", "Blackwell", new(10, 0), 186, nvLink: 1800, mig: 7),
        Kind("B200", "B200", "Blackwell", new(10, 0), 180, nvLink: 1800, mig: 7),
        Kind("GB300", "GB300", "Blackwell", new(10, 3), 278, nvLink: 1800, mig: 7),
        Kind("B300", "B300", "Blackwell", new(10, 3), 269, nvLink: 1800, mig: 7),
        Kind("RTX-PRO-6000", "RTX-PRO-6000", "Blackwell", new(12, 0), 96, mig: 4, words: "RTX PRO 6000"),
        Kind("RTX-5090", "RTX-5090", "Blackwell", new(12, 0), 32, pool: "ADA_32_PRO", words: "RTX 5090"),
    ];

    /// <summary>Pools that hold at least one kind of the catalogue.</summary>
    public static IReadOnlyList<string> Pools { get; } = [.. Models.Select(m => m.Pool).OfType<string>().Distinct().Order(StringComparer.Ordinal)];

    /// <summary>The kind that a GPU with this name in nvidia-smi is of; null: it is not in the catalogue.</summary>
    public static GpuModel? Find(string name)
    {
        // "A100-SXM4-80GB", "A100 80GB PCIe", "Tesla V100-SXM2-16GB-LS": words, whatever stands between them.
        var words = Word().Matches(name).Select(w => w.Value).ToHashSet(StringComparer.OrdinalIgnoreCase);
        return Models.FirstOrDefault(m => m.Words.All(words.Contains));
    }

    /// <summary>Whether a word of a template's <c>gpu.types</c> can mean anything: a kind, a family, a pool, or a whole name as nvidia-smi says it.</summary>
    public static bool Knows(string type) => Models.Any(m => Names(m, type)) || FullName().IsMatch(type);

    /// <summary>Whether a word of a template's <c>gpu.types</c> means this GPU.</summary>
    public static bool Means(string type, string name, GpuModel? model) =>
        type.Equals(name, StringComparison.OrdinalIgnoreCase) || (model is not null && Names(model, type));

    private static bool Names(GpuModel model, string type) =>
        type.Equals(model.Id, StringComparison.OrdinalIgnoreCase) || type.Equals(model.Family, StringComparison.OrdinalIgnoreCase)
        || type.Equals(model.Pool, StringComparison.OrdinalIgnoreCase);

    private static GpuModel Kind(string id, string family, string architecture, ComputeCapability compute, int gb, double nvLink = 0, int mig = 0,
        string? pool = null, string? words = null) => new()
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
