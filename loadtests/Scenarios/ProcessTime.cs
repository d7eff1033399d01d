using System.Diagnostics;

namespace Sluice.Scenarios;

/// <summary>Reads the processor time of other processes.</summary>
internal static class ProcessTime
{
    /// <summary>Returns the processor time that a process has used since its start, in microseconds.</summary>
    public static double Microseconds(int process)
    {
        using var found = Process.GetProcessById(process);
        return found.TotalProcessorTime.TotalMicroseconds;
    }
}
