using System.Globalization;

namespace Sluice.Storage.Queueing;

/// <summary>The memory of Redis servers, in bytes.</summary>
/// <param name="Used">What they use (<c>used_memory</c>).</param>
/// <param name="Limit">Their limit (<c>maxmemory</c>); 0: at least one of them has none.</param>
public sealed record RedisMemory(long Used, long Limit)
{
    /// <summary>Reads the response to <c>INFO memory</c>.</summary>
    public static RedisMemory Read(string info) => new(Field(info, "used_memory:"), Field(info, "maxmemory:"));

    /// <summary>Returns the memory of several servers together; null: there is none.</summary>
    public static RedisMemory? Sum(IReadOnlyCollection<RedisMemory> servers) => servers.Count == 0 ? null
        : new RedisMemory(servers.Sum(s => s.Used), servers.Any(s => s.Limit == 0) ? 0 : servers.Sum(s => s.Limit));

    private static long Field(string info, string name)
    {
        foreach (var line in info.AsSpan().EnumerateLines())
            if (line.StartsWith(name)
                && long.TryParse(line[name.Length..], NumberStyles.None, CultureInfo.InvariantCulture, out var value))
                return value;
        return 0;
    }
}
