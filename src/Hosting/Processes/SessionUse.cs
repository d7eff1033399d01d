using System.Globalization;

namespace Sluice.Hosting.Processes;

/// <summary>What the processes of a session use, from proc(5).</summary>
/// <param name="CpuTime">Processor time of the processes, and of their children that ended.</param>
/// <param name="Memory">Resident memory in bytes. Memory that processes share counts for each of them.</param>
internal readonly record struct SessionUse(TimeSpan CpuTime, long Memory)
{
    /// <summary>Clock ticks per second in proc(5): Linux reports 100 on every architecture of .NET.</summary>
    private const int TicksPerSecond = 100;

    // Places of the fields after the name of the program.
    private const int Session = 3, FirstTime = 11, LastTime = 14, Resident = 21;

    /// <summary>Reads what sessions use, by the id of the session. A session without processes is left out.</summary>
    public static IReadOnlyDictionary<int, SessionUse> Read(IReadOnlySet<int> sessions)
    {
        var uses = new Dictionary<int, SessionUse>();
        if (sessions.Count == 0 || !Directory.Exists("/proc")) return uses;
        foreach (var folder in Directory.EnumerateDirectories("/proc").Where(f => char.IsAsciiDigit(f[^1])))
            if (ReadStat(folder) is { } stat && TryParse(stat, out var session, out var use)
                && sessions.Contains(session)) uses[session] = uses.GetValueOrDefault(session) + use;
        return uses;
    }

    /// <summary>
    /// Parses the text of <c>/proc/PID/stat</c>. Pure. False: it is incomplete. A process that ended still has its
    /// processor time, until its parent takes it over.
    /// </summary>
    internal static bool TryParse(string stat, out int session, out SessionUse use)
    {
        (session, use) = (0, default);
        // The second field, the name in brackets, may contain any character.
        var fields = stat[(stat.LastIndexOf(')') + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (fields.Length <= Resident) return false;
        session = int.Parse(fields[Session], CultureInfo.InvariantCulture);
        var ticks = fields[FirstTime..(LastTime + 1)].Sum(f => long.Parse(f, CultureInfo.InvariantCulture));
        use = new SessionUse(TimeSpan.FromSeconds((double)ticks / TicksPerSecond),
            long.Parse(fields[Resident], CultureInfo.InvariantCulture) * Environment.SystemPageSize);
        return true;
    }

    public static SessionUse operator +(SessionUse a, SessionUse b) => new(a.CpuTime + b.CpuTime, a.Memory + b.Memory);

    private static string? ReadStat(string folder)
    {
        try
        {
            return File.ReadAllText(Path.Combine(folder, "stat"));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The process has ended.
            return null;
        }
    }
}
