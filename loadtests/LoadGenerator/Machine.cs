using System.Globalization;
using System.Runtime.InteropServices;

namespace Sluice.LoadGenerator;

/// <summary>Where a figure was seen.</summary>
public static class Machine
{
    public static string Describe(string command = "make load")
    {
        var cpu = File.ReadLines("/proc/cpuinfo").FirstOrDefault(l => l.StartsWith("model name", StringComparison.Ordinal))?.Split(':')[1].Trim() ?? "unknown CPU";
        var memory = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes >> 30;
        return string.Create(CultureInfo.InvariantCulture,
            $"""
            Machine: {cpu}, {Environment.ProcessorCount} cores, {memory} GiB, {RuntimeInformation.OSDescription}, .NET {Environment.Version};
            shared with others. Server, load and peers share the cores.
            Command: `{command}`. Date: {TimeProvider.System.GetUtcNow():yyyy-MM-dd}.

            """);
    }
}
