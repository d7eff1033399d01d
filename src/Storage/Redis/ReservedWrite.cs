using StackExchange.Redis;

namespace Sluice.Storage.Redis;

/// <summary>
/// Writes single control records: hosts, endpoints, keys, secrets. Their number and size are bounded, so these writes
/// are allowed when Redis is at <c>maxmemory</c>, where it rejects every plain command that can need memory. Job data
/// never uses this class.
/// </summary>
public static class ReservedWrite
{
    private static readonly Script WriteLua = Script.Load("control-write");

    /// <summary>Runs one write command on one key and returns the reply of Redis.</summary>
    /// <param name="db">The database.</param>
    /// <param name="key">The key.</param>
    /// <param name="command">The name of the command, for example <c>SADD</c>.</param>
    /// <param name="args">The arguments after the key.</param>
    public static Task<RedisResult> RunAsync(IDatabase db, RedisKey key, string command, params RedisValue[] args) =>
        WriteLua.RunAsync(db, [key], [command, .. args]);
}
