namespace Sluice.Core.Workers;

/// <summary>
/// Names one process for good: boot of the machine, namespace of its process ids, id, and the tick it began at (proc(5)). Gateways on
/// one machine see by it whether another one's worker still runs, however long that gateway says nothing.
/// </summary>
public static class ProcessMark
{
    private static readonly string? Here = FindHere();

    /// <summary>The mark of a process; null where the system does not tell.</summary>
    public static string? Of(int processId) => Here is not null && BeganAt(processId) is { } began ? $"{Here}/{processId}/{began}" : null;

    /// <summary>Whether that process runs; null: it is another machine's, or nothing is known of it.</summary>
    public static bool? Lives(string? mark)
    {
        if (mark is null || Here is null || !mark.StartsWith(Here + "/", StringComparison.Ordinal)) return null;
        return mark[(Here.Length + 1)..].Split('/') is [var id, var began] && int.TryParse(id, out var processId)
            ? BeganAt(processId) == began : null;
    }

    private static string? FindHere()
    {
        try
        {
            var boot = File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim();
            return File.ResolveLinkTarget("/proc/self/ns/pid", false) is { } space ? $"{boot}/{space.Name}" : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>The 22nd field of its stat; null when there is none or only its exit code is left.</summary>
    private static string? BeganAt(int processId)
    {
        try
        {
            // The second field, its name in brackets, may contain anything.
            var stat = File.ReadAllText($"/proc/{processId}/stat");
            var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            return fields[0] is "Z" or "X" ? null : fields[19];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
