using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Models.Cache;

/// <summary>Everything besides the model itself that an optimised copy depends on: with any other it is wrong or slow.</summary>
/// <param name="OnnxRuntime">Its version.</param>
/// <param name="Providers">Execution providers with their options, in order.</param>
/// <param name="GraphLevel">Graph optimisation level that the copy was made with.</param>
/// <param name="Cpu">Type of the processor: kernels and the layout of prepacked weights are chosen by its instructions.</param>
internal sealed record CacheConditions(string OnnxRuntime, IReadOnlyList<string> Providers, string GraphLevel, string Cpu)
{
    /// <summary>The conditions of this process.</summary>
    public static CacheConditions Here(IReadOnlyList<string> providers) => new(OrtEnv.Instance().GetVersionString(), providers,
        nameof(GraphOptimizationLevel.ORT_ENABLE_ALL), CpuType(File.ReadLines("/proc/cpuinfo")));

    /// <summary>The lines of the first processor that name its type and instructions, on x86 and on Arm; its frequency
    /// and number are left out.</summary>
    public static string CpuType(IEnumerable<string> cpuInfo)
    {
        string[] names = ["vendor_id", "cpu family", "model", "model name", "stepping", "flags",
            "CPU implementer", "CPU architecture", "CPU variant", "CPU part", "Features"];
        return string.Join('\n', cpuInfo.TakeWhile(l => l.Length > 0).Where(l => names.Contains(l.Split(':')[0].Trim()))
            .Select(l => l.Trim()));
    }
}
