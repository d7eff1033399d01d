using System.Globalization;

namespace Sluice.Core.Gpus;

/// <summary>Versions of NVIDIA's driver, and what CUDA asks of it.</summary>
public static class DriverVersion
{
    /// <summary>The CUDA versions that a worker's libraries may be of, with the least driver (CUDA release notes, minor version
    /// compatibility) and compute capability (CUDA 13 dropped what is older than Turing).</summary>
    public static IReadOnlyDictionary<int, (string Driver, ComputeCapability Compute)> OfCuda { get; } =
        new Dictionary<int, (string, ComputeCapability)> { [12] = ("525", new(5, 0)), [13] = ("580", Catalogue.Cuda13Least) };

    /// <summary>Numbers with points between them: <c>580</c>, <c>580.95.05</c>.</summary>
    public static bool IsOne(string text) => text.Split('.').All(p => p.Length is > 0 and < 6 && p.All(char.IsAsciiDigit));

    /// <summary>Whether a driver is this version or a newer one. A driver that does not tell its version is not.</summary>
    public static bool AtLeast(string? driver, string least)
    {
        if (driver is null || !IsOne(driver)) return false;
        int[] have = Parts(driver), want = Parts(least);
        for (var i = 0; i < want.Length; i++)
        {
            var (h, w) = (i < have.Length ? have[i] : 0, want[i]);
            if (h != w) return h > w;
        }

        return true;
    }

    private static int[] Parts(string version) => [.. version.Split('.').Select(p => int.Parse(p, CultureInfo.InvariantCulture))];
}
