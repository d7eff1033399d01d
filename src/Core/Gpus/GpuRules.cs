using Sluice.Core.Endpoints;

namespace Sluice.Core.Gpus;

/// <summary>What a template's <c>gpu</c> must obey, whatever GPUs there are. Pure.</summary>
public static class GpuRules
{
    /// <summary>GPUs of one worker: more than any machine has.</summary>
    private const int MaxCount = 64;

    /// <summary>Every error of needs that stand at <paramref name="path"/>.</summary>
    public static List<FieldError> Check(GpuNeeds needs, string path)
    {
        var check = new EndpointRules.Checker(path);
        Check(needs, check);
        return check.Errors;
    }

    internal static void Check(GpuNeeds needs, EndpointRules.Checker check)
    {
        foreach (var type in needs.Types)
            check.That(Catalogue.Knows(type), "gpu.types", type, $"one of {string.Join(", ", Names())}, or a name as nvidia-smi says it (NVIDIA ...)");
        check.That(needs.Types.Distinct(StringComparer.OrdinalIgnoreCase).Count() == needs.Types.Count, "gpu.types",
            string.Join(", ", needs.Types), "each only once");
        check.Range("gpu.count", needs.Count, 1, MaxCount);
        check.That(!needs.WantsSlice || needs.Count == 1, "gpu.count", $"{needs.Count}", "1: a process can use only one MIG slice");
        check.That(needs.Share is null || needs.Count == 1, "gpu.count", $"{needs.Count}", "1: a share is one of one GPU");
        check.That(!needs.NvLink || needs.Count > 1, "gpu.nvLink", "true", "false: there is nothing to connect with gpu.count 1");
        check.That(needs.Mig is null || needs.MinMig is null, "gpu.minMig", $"{needs.MinMig}", "to be left out where gpu.mig says the profile");
        check.That(needs.Share is null || !needs.WantsSlice, "gpu.share", $"{needs.Share}", "to be left out: a MIG slice is one worker's");
        check.Range("gpu.minMemory", needs.MinMemory, 0, 1L << 50);
        check.That(needs.Cuda == 0 || DriverVersion.OfCuda.ContainsKey(needs.Cuda), "gpu.cuda", $"{needs.Cuda}", string.Join(" or ", DriverVersion.OfCuda.Keys));
        check.That(needs.MinDriver.Length == 0 || DriverVersion.IsOne(needs.MinDriver), "gpu.minDriver", needs.MinDriver, "a version like 580 or 580.65.06");
    }

    private static IEnumerable<string> Names() => Catalogue.Models.SelectMany(m => new[] { m.Id, m.Family }).Concat(Catalogue.Pools).Distinct();
}
