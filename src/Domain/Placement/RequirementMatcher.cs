using System.Globalization;
using Sluice.Domain.Gpus;
using Sluice.Domain.Notation;

namespace Sluice.Domain.Placement;

/// <summary>
/// Checks the requirements of a request against a kind of device, field by field, in the order in which a refusal
/// reports them. Pure.
/// </summary>
internal static class RequirementMatcher
{
    /// <summary>One requirement.</summary>
    /// <param name="Field">The field of <c>gpu</c>.</param>
    /// <param name="Meets">Whether a kind satisfies the requirement.</param>
    /// <param name="Wanted">Returns the requirement as text.</param>
    /// <param name="WouldFit">
    /// Returns, as text, what the kinds that satisfy all earlier requirements have instead.
    /// </param>
    public sealed record Part(
        string Field,
        Func<GpuRequirements, DeviceKind, bool> Meets,
        Func<GpuRequirements, string> Wanted,
        Func<IReadOnlyList<DeviceKind>, string> WouldFit);

    public static IReadOnlyList<Part> Parts { get; } =
    [
        new("types",
            (n, k) => n.Types.Count == 0 || Preference(n, k) < n.Types.Count,
            n => string.Join(", ", n.Types),
            k => $"would fit: {Names(k)}"),
        new("mig", (n, k) => n.Mig is null || n.Mig == k.Profile, n => $"a MIG slice {n.Mig}", AvailableSlices),
        new("minMig",
            (n, k) => n.MinMig is null || k.Profile?.Covers(n.MinMig) == true,
            n => $"a MIG slice of at least {n.MinMig}",
            AvailableSlices),
        new("mig",
            (n, k) => n.WantsSlice || (k.Profile is null && !k.Cut),
            _ => "a whole GPU, and all matching GPUs are in MIG mode",
            AvailableSlices),
        new("minMemory",
            (n, k) => k.MemoryMiB >= n.MinMemory >> 20,
            n => $"{Size.Format(n.MinMemory >> 20)} of memory",
            LargestMemory),
        new("share",
            (n, k) => n.Share is not { } s || s.ToMiB(k.MemoryMiB) <= k.MemoryMiB,
            n => $"{n.Share} of memory",
            LargestMemory),
        new("share",
            (n, k) => n.Share is null || k.ComputeMode == ComputeMode.Default,
            n => $"{n.Share} of a shared GPU, and its compute mode is exclusive",
            _ => "would fit: the whole GPU, without gpu.share (or compute mode Default: nvidia-smi -c 0)"),
        new("types",
            (_, k) => k.ComputeMode != ComputeMode.Prohibited,
            _ => "a GPU, and the compute mode of all matching GPUs is Prohibited",
            _ => "set the compute mode Default: nvidia-smi -c 0"),
        new("precision",
            (n, k) => n.Precision is not { } p || k.ComputeCapability >= Precisions.Least(p),
            n => $"{Precisions.Name(n.Precision!.Value)}, which requires compute capability "
                + Precisions.Least(n.Precision.Value),
            k => $"would fit: {string.Join(", ", Precisions.GetSupported(k.Max(x => x.ComputeCapability)))}"),
        new("minComputeCapability",
            (n, k) => n.MinComputeCapability is not { } c || k.ComputeCapability >= c,
            n => $"compute capability {n.MinComputeCapability}",
            k => $"would fit: at most {k.Max(x => x.ComputeCapability)}"),
        new("cuda", (n, k) => n.Cuda == 0 || MeetsCuda(n.Cuda, k), n => CudaText(n.Cuda), SupportedCuda),
        new("minDriver",
            (n, k) => n.MinDriver.Length == 0 || DriverVersion.AtLeast(k.Driver, n.MinDriver),
            n => $"driver {n.MinDriver}",
            LatestDriver),
        // A GPU that is not set to ready has a fault, and can become ready later.
        new("confidential",
            (n, k) => !n.Confidential || k.Confidential != ConfidentialState.Off,
            _ => "a GPU in confidential computing mode",
            _ => "would fit: without gpu.confidential"),
    ];

    /// <summary>Whether a kind satisfies all requirements.</summary>
    public static bool Meets(GpuRequirements needs, DeviceKind kind) => Parts.All(p => p.Meets(needs, kind));

    /// <summary>
    /// Returns the index of the first required type that matches a kind, or the number of types if none matches.
    /// </summary>
    public static int Preference(GpuRequirements needs, DeviceKind kind)
    {
        for (var i = 0; i < needs.Types.Count; i++)
            if (GpuModelCatalog.IsMatch(needs.Types[i], kind.Name, kind.Model)) return i;
        return needs.Types.Count;
    }

    private static string LargestMemory(IReadOnlyList<DeviceKind> kinds) =>
        $"would fit: at most {Size.Format(kinds.Max(k => k.MemoryMiB))}";

    private static string LatestDriver(IReadOnlyList<DeviceKind> kinds) =>
        $"would fit: at most {DriverVersion.Latest(kinds.Select(k => k.Driver)) ?? "an unknown driver version"}";

    private static bool MeetsCuda(int cuda, DeviceKind kind)
    {
        var (driver, compute) = DriverVersion.CudaRequirements[cuda];
        return DriverVersion.AtLeast(kind.Driver, driver) && kind.ComputeCapability >= compute;
    }

    private static string CudaText(int cuda)
    {
        var (driver, compute) = DriverVersion.CudaRequirements[cuda];
        return string.Create(CultureInfo.InvariantCulture,
            $"CUDA {cuda}, which requires driver {driver} and compute capability {compute}");
    }

    private static string SupportedCuda(IReadOnlyList<DeviceKind> kinds)
    {
        var versions = DriverVersion.CudaRequirements.Keys.Where(c => kinds.Any(k => MeetsCuda(c, k))).ToList();
        return versions.Count > 0
            ? $"would fit: CUDA {string.Join(", ", versions)}"
            : "the driver is too old for every supported CUDA version";
    }

    private static string AvailableSlices(IReadOnlyList<DeviceKind> kinds)
    {
        var profiles = kinds.Select(k => k.Profile).OfType<MigProfile>().Distinct()
            .OrderBy(p => p.MemoryGb)
            .ThenBy(p => p.Slices)
            .ToList();
        return profiles.Count > 0 ? $"would fit: {string.Join(", ", profiles)}"
            : kinds.Any(k => k.Cut) ? "MIG mode is on, but there is no slice (create it: nvidia-smi mig -cgi ... -C)"
            : $"would fit: a whole GPU ({Names(kinds)}), without gpu.mig";
    }

    private static string Names(IReadOnlyList<DeviceKind> kinds) =>
        string.Join(", ", kinds.Select(k => k.Name).Distinct().Order(StringComparer.Ordinal));
}
