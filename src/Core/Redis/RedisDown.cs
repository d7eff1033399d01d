using StackExchange.Redis;

namespace Sluice.Core.Redis;

/// <summary>Which exceptions of the client mean that Redis could not be asked: the outcome of a write is unknown.</summary>
public static class RedisDown
{
    public static bool Is(Exception e) => e is RedisConnectionException or TimeoutException
        or ObjectDisposedException or TaskCanceledException
        || (e is RedisServerException s && (s.Message.StartsWith("LOADING", StringComparison.Ordinal)
            || s.Message.StartsWith("BUSY", StringComparison.Ordinal)
            || s.Message.StartsWith("MISCONF", StringComparison.Ordinal)
            || s.Message.StartsWith("OOM", StringComparison.Ordinal)
            || s.Message.StartsWith("READONLY", StringComparison.Ordinal)
            || s.Message.StartsWith("NOREPLICAS", StringComparison.Ordinal)
            || s.Message.StartsWith("MASTERDOWN", StringComparison.Ordinal)
            || s.Message.StartsWith("CLUSTERDOWN", StringComparison.Ordinal)
            || s.Message.StartsWith("TRYAGAIN", StringComparison.Ordinal)));
}
