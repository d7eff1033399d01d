namespace Sluice.Storage.Redis;

/// <summary>
/// Identifies transient errors of the Redis client: the call can be retried when the state of Redis or the network
/// changes.
/// </summary>
public static class RedisErrors
{
    public static bool Is(Exception e) =>
        RedisFaults.Classify(e) is not (RedisFault.None or RedisFault.WrongData or RedisFault.Rejected);
}
