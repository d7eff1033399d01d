using Sluice.Storage.Keys;

namespace Sluice.Gateway.Authentication;

/// <summary>A key in memory, and when this gateway last accepted it.</summary>
internal sealed class CachedKey(ApiKey record)
{
    private long usedAt;

    public ApiKey Record { get; } = record;

    public Caller Caller { get; } =
        new(record.Id, record.Name, record.Scope, record.Limits ?? KeyLimits.None);

    /// <summary>The last use, in seconds of Unix time; 0: none.</summary>
    public long UsedAt => Volatile.Read(ref usedAt);

    /// <summary>Notes a use. Requests of the same second write nothing.</summary>
    public void Use(DateTimeOffset now)
    {
        var second = now.ToUnixTimeSeconds();
        if (Volatile.Read(ref usedAt) < second) Volatile.Write(ref usedAt, second);
    }
}
