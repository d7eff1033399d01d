using Sluice.Domain.Gpus;

namespace Sluice.Domain.Declarations;

/// <summary>Validates the <c>gpu</c> requirements of templates, independent of the existing GPUs. Pure.</summary>
public static class GpuRules
{
    /// <summary>Maximum number of GPUs per worker: more than any machine has.</summary>
    private const int MaxCount = 64;

    /// <summary>Returns all errors of the requirements at <paramref name="path"/>.</summary>
    public static List<FieldError> Check(GpuRequirements needs, string path)
    {
        var check = new EndpointRules.Checker(path);
        Check(needs, check);
        return check.Errors;
    }

    internal static void Check(GpuRequirements needs, EndpointRules.Checker check)
    {
        foreach (var type in needs.Types)
            check.That(GpuModelCatalog.IsKnownType(type), "gpu.types", type,
                $"one of {string.Join(", ", Names())}, or a name as reported by nvidia-smi (NVIDIA ...)");
        check.That(needs.Types.Distinct(StringComparer.OrdinalIgnoreCase).Count() == needs.Types.Count, "gpu.types",
            string.Join(", ", needs.Types), "unique values");
        check.Range("gpu.count", needs.Count, 1, MaxCount);
        check.That(!needs.WantsSlice || needs.Count == 1, "gpu.count", $"{needs.Count}",
            "1: a process can use only one MIG slice");
        check.That(needs.Share is null || needs.Count == 1, "gpu.count", $"{needs.Count}",
            "1: a share is a part of one GPU");
        check.That(!needs.NvLink || needs.Count > 1, "gpu.nvLink", "true",
            "false: a single GPU (gpu.count 1) has no connections");
        check.That(needs.Mig is null || needs.MinMig is null, "gpu.minMig", $"{needs.MinMig}",
            "no value, because gpu.mig specifies the profile");
        check.That(needs.Share is null || !needs.WantsSlice, "gpu.share", $"{needs.Share}",
            "no value: a MIG slice is used by one worker");
        check.Range("gpu.minMemory", needs.MinMemory, 0, 1L << 50);
        check.That(needs.Cuda == 0 || DriverVersion.CudaRequirements.ContainsKey(needs.Cuda), "gpu.cuda",
            $"{needs.Cuda}", string.Join(" or ", DriverVersion.CudaRequirements.Keys));
        check.That(needs.MinDriver.Length == 0 || DriverVersion.IsVersion(needs.MinDriver), "gpu.minDriver",
            needs.MinDriver, "a version like 580 or 580.65.06");
    }

    private static IEnumerable<string> Names() =>
        GpuModelCatalog.Models.SelectMany(m => new[] { m.Id, m.Family }).Concat(GpuModelCatalog.Pools).Distinct();
}
