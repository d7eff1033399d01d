using System.Globalization;

namespace Sluice.Core.Gpus;

/// <summary>The parts of what a wish asks of a kind of device, in the order in which they are looked at and told. Pure.</summary>
internal static class NeedsCheck
{
    /// <summary>A part: its field, whether a kind meets it, what was wanted, and what the kinds that meet everything before it have instead.</summary>
    public sealed record Part(string Field, Func<GpuNeeds, DeviceKind, bool> Meets, Func<GpuNeeds, string> Wanted,
        Func<IReadOnlyList<DeviceKind>, string> WouldFit);

    public static IReadOnlyList<Part> Parts { get; } =
    [
        new("types", (n, k) => n.Types.Count == 0 || Preference(n, k) < n.Types.Count, n => string.Join(", ", n.Types), k => $"would fit: {Names(k)}"),
        new("mig", (n, k) => n.Mig is null || n.Mig == k.Profile, n => $"a MIG slice {n.Mig}", SlicesHere),
        new("minMig", (n, k) => n.MinMig is null || k.Profile?.Covers(n.MinMig) == true, n => $"a MIG slice of at least {n.MinMig}", SlicesHere),
        new("mig", (n, k) => n.WantsSlice || (k.Profile is null && !k.Cut), _ => "a whole GPU, and all that would do are cut into MIG slices", SlicesHere),
        new("minMemory", (n, k) => k.MemoryMiB >= n.MinMemory >> 20, n => $"{Size.Text(n.MinMemory >> 20)} of memory", LargestHere),
        new("share", (n, k) => n.Share is not { } s || s.Of(k.MemoryMiB) <= k.MemoryMiB, n => $"{n.Share} of memory", LargestHere),
        new("share", (n, k) => n.Share is null || k.ComputeMode == ComputeMode.Default, n => $"{n.Share} of a GPU that others use too, and its compute mode is exclusive",
            _ => "would fit: the whole GPU, without gpu.share (or compute mode Default: nvidia-smi -c 0)"),
        new("types", (_, k) => k.ComputeMode != ComputeMode.Prohibited, _ => "a GPU, and the compute mode of all that would do is Prohibited",
            _ => "nvidia-smi -c 0 allows it"),
        new("precision", (n, k) => n.Precision is not { } p || k.ComputeCapability >= Precisions.Least(p),
            n => $"{Precisions.Name(n.Precision!.Value)}, which needs compute capability {Precisions.Least(n.Precision.Value)}",
            k => $"would fit: {string.Join(", ", Precisions.Of(k.Max(x => x.ComputeCapability)))}"),
        new("minComputeCapability", (n, k) => n.MinComputeCapability is not { } c || k.ComputeCapability >= c,
            n => $"compute capability {n.MinComputeCapability}", k => $"would fit: at most {k.Max(x => x.ComputeCapability)}"),
        new("cuda", (n, k) => n.Cuda == 0 || MeetsCuda(n.Cuda, k), n => string.Create(CultureInfo.InvariantCulture,
            $"CUDA {n.Cuda}, which needs driver {DriverVersion.OfCuda[n.Cuda].Driver} and compute capability {DriverVersion.OfCuda[n.Cuda].Compute}"), CudaHere),
        new("minDriver", (n, k) => n.MinDriver.Length == 0 || DriverVersion.AtLeast(k.Driver, n.MinDriver), n => $"driver {n.MinDriver}",
            k => $"would fit: at most {k.Select(x => x.Driver ?? "a driver that does not tell its version").Distinct().Order(StringComparer.Ordinal).Last()}"),
        // One that is not declared ready has a fault, and may be ready soon.
        new("confidential", (n, k) => !n.Confidential || k.Confidential != ConfidentialState.Off, _ => "a GPU in confidential computing mode",
            _ => "would fit: without gpu.confidential"),
    ];

    public static bool Meets(GpuNeeds needs, DeviceKind kind) => Parts.All(p => p.Meets(needs, kind));

    /// <summary>The place of a kind among the types that are asked for; their number: it is not asked for.</summary>
    public static int Preference(GpuNeeds needs, DeviceKind kind)
    {
        for (var i = 0; i < needs.Types.Count; i++)
            if (Catalogue.Means(needs.Types[i], kind.Name, kind.Model)) return i;
        return needs.Types.Count;
    }

    private static string LargestHere(IReadOnlyList<DeviceKind> kinds) => $"would fit: at most {Size.Text(kinds.Max(k => k.MemoryMiB))}";

    private static bool MeetsCuda(int cuda, DeviceKind kind) =>
        DriverVersion.AtLeast(kind.Driver, DriverVersion.OfCuda[cuda].Driver) && kind.ComputeCapability >= DriverVersion.OfCuda[cuda].Compute;

    private static string CudaHere(IReadOnlyList<DeviceKind> kinds) =>
        DriverVersion.OfCuda.Keys.Where(c => kinds.Any(k => MeetsCuda(c, k))).ToList() is { Count: > 0 } some
            ? $"would fit: CUDA {string.Join(", ", some)}" : "no CUDA version of a worker would: the driver is too old";

    private static string SlicesHere(IReadOnlyList<DeviceKind> kinds)
    {
        var profiles = kinds.Select(k => k.Profile).OfType<MigProfile>().Distinct().OrderBy(p => p.MemoryGb).ThenBy(p => p.Slices).ToList();
        return profiles.Count > 0 ? $"would fit: {string.Join(", ", profiles)}"
            : kinds.Any(k => k.Cut) ? "MIG mode is on, but no slice was made (nvidia-smi mig -cgi ... -C)" : $"would fit: a whole GPU ({Names(kinds)}), without gpu.mig";
    }

    private static string Names(IReadOnlyList<DeviceKind> kinds) => string.Join(", ", kinds.Select(k => k.Name).Distinct().Order(StringComparer.Ordinal));
}
