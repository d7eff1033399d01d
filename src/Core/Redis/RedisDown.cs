namespace Sluice.Core.Redis;

/// <summary>Which exceptions of the client pass when the state of Redis, or the way to it, changes: the call can be repeated.</summary>
public static class RedisDown
{
    public static bool Is(Exception e) => RedisFaults.Of(e) is not (RedisFault.None or RedisFault.WrongData or RedisFault.Rejected);
}
