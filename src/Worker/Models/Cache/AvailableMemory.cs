using System.Globalization;

namespace Sluice.Worker.Models.Cache;

/// <summary>
/// Reads how much memory a maker can use. A container that exceeds its memory limit can be killed together with the
/// worker, so the maker checks first.
/// </summary>
internal static class AvailableMemory
{
    /// <summary>
    /// Returns the bytes that are free on this machine and in this container (cgroup v2). File cache counts as free.
    /// </summary>
    public static long Bytes() =>
        Bytes(File.ReadAllText("/proc/meminfo"), Read("memory.max"), Read("memory.current"), Read("memory.stat"));

    /// <param name="memInfo">Content of /proc/meminfo.</param>
    /// <param name="max">Content of memory.max. This and the following are null if the file does not exist.</param>
    /// <param name="current">Content of memory.current.</param>
    /// <param name="stat">Content of memory.stat.</param>
    public static long Bytes(string memInfo, string? max, string? current, string? stat)
    {
        var machine = Line(memInfo, "MemAvailable:") * 1024;
        if (!long.TryParse(max, NumberStyles.None, CultureInfo.InvariantCulture, out var limit)
            || !long.TryParse(current, NumberStyles.None, CultureInfo.InvariantCulture, out var used)) return machine;
        return Math.Min(machine, Math.Max(0, limit - used + Line(stat ?? "", "inactive_file")));
    }

    private static string? Read(string name)
    {
        var path = Path.Combine("/sys/fs/cgroup", name);
        return File.Exists(path) ? File.ReadAllText(path).Trim() : null;
    }

    private static long Line(string text, string name) => text.Split('\n')
        .Select(l => l.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        .Where(w => w.Length > 1 && w[0] == name)
        .Select(w => long.Parse(w[1], CultureInfo.InvariantCulture))
        .FirstOrDefault();
}
