using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Models.Cache;

/// <summary>
/// Everything except the model that an optimized copy depends on. A copy made under other conditions is wrong or slow.
/// </summary>
/// <param name="OnnxRuntime">Version of ONNX Runtime.</param>
/// <param name="Providers">Execution providers with their options, in order.</param>
/// <param name="GraphLevel">Graph optimization level of the copy.</param>
/// <param name="Cpu">Processor type. Its instruction sets select the kernels and the layout of prepacked
/// weights.</param>
internal sealed record CacheConditions(
    string OnnxRuntime,
    IReadOnlyList<string> Providers,
    string GraphLevel,
    string Cpu)
{
    /// <summary>Returns the conditions of this process.</summary>
    public static CacheConditions Here(IReadOnlyList<string> providers) => new(
        OrtEnv.Instance().GetVersionString(),
        providers,
        nameof(GraphOptimizationLevel.ORT_ENABLE_ALL), CpuType(File.ReadLines("/proc/cpuinfo")));

    /// <summary>
    /// Returns the lines of the first processor that contain its type and instruction sets, on x86 and on Arm. Its
    /// frequency and number are omitted.
    /// </summary>
    public static string CpuType(IEnumerable<string> cpuInfo)
    {
        string[] names = ["vendor_id", "cpu family", "model", "model name", "stepping", "flags",
            "CPU implementer", "CPU architecture", "CPU variant", "CPU part", "Features"];
        return string.Join('\n', cpuInfo.TakeWhile(l => l.Length > 0).Where(l => names.Contains(l.Split(':')[0].Trim()))
            .Select(l => l.Trim()));
    }
}
