using System.Globalization;

namespace Sluice.Domain.Gpus;

/// <summary>Compares versions of NVIDIA's driver, and defines which version each CUDA version requires.</summary>
public static class DriverVersion
{
    /// <summary>
    /// The supported major CUDA versions of a worker's libraries, with the minimum driver (CUDA release notes, minor
    /// version compatibility) and the minimum compute capability (CUDA 13 does not support GPUs older than Turing).
    /// </summary>
    public static IReadOnlyDictionary<int, (string Driver, ComputeCapability Compute)> CudaRequirements { get; } =
        new Dictionary<int, (string, ComputeCapability)>
        {
            [12] = ("525", new(5, 0)),
            [13] = ("580", GpuModelCatalog.Cuda13Least),
        };

    /// <summary>Whether a text is a version: numbers separated by dots, <c>580</c>, <c>580.95.05</c>.</summary>
    public static bool IsVersion(string text) =>
        text.Split('.').All(p => p.Length is > 0 and < 6 && p.All(char.IsAsciiDigit));

    /// <summary>
    /// Whether a driver has at least the given version. False if the version of the driver is unknown.
    /// </summary>
    public static bool AtLeast(string? driver, string least)
    {
        if (driver is null || !IsVersion(driver)) return false;
        int[] have = Parts(driver), want = Parts(least);
        for (var i = 0; i < want.Length; i++)
        {
            var (h, w) = (i < have.Length ? have[i] : 0, want[i]);
            if (h != w) return h > w;
        }

        return true;
    }

    /// <summary>Returns the latest of the known versions; null if none is known.</summary>
    public static string? Latest(IEnumerable<string?> drivers) =>
        drivers.Where(d => d is not null && IsVersion(d))
            .Aggregate((string?)null, (latest, d) => latest is null || AtLeast(d, latest) ? d : latest);

    private static int[] Parts(string version) =>
        [.. version.Split('.').Select(p => int.Parse(p, CultureInfo.InvariantCulture))];
}
