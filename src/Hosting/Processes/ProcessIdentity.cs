namespace Sluice.Hosting.Processes;

/// <summary>
/// Identifies a process uniquely: the machine's boot id, the namespace of its process ids, the process id, and the
/// clock tick at which it started (proc(5)). Gateways on one machine use the mark to find out whether another gateway's
/// worker still runs, even if that gateway has been silent for long.
/// </summary>
public static class ProcessIdentity
{
    private static readonly string? Here = FindHere();

    /// <summary>Returns the mark of a process; null if the system does not provide the data.</summary>
    public static string? Create(int processId) =>
        Here is not null && BeganAt(processId) is { } began ? $"{Here}/{processId}/{began}" : null;

    /// <summary>Whether the process of a mark runs; null: it is another machine's, or there is no mark.</summary>
    public static bool? IsRunning(string? mark)
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

    /// <summary>
    /// Returns the 22nd field of the process' stat, its start time; null if the process does not exist or only its exit
    /// code is left.
    /// </summary>
    private static string? BeganAt(int processId)
    {
        try
        {
            // The second field, the name in brackets, may contain any character.
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
