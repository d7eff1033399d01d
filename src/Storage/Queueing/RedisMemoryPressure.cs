using System.Net;
using Microsoft.Extensions.Logging;
using Sluice.Storage.Background;
using Sluice.Storage.Redis;

namespace Sluice.Storage.Queueing;

/// <summary>
/// Checks the memory use of Redis once a second. Above <see cref="FullFrom"/>, new jobs are rejected, so that control
/// writes, results and requests still have memory below <c>maxmemory</c>, where Redis rejects the plain writes of every
/// client.
/// </summary>
public sealed partial class RedisMemoryPressure(
    RedisStore redis, TimeProvider time, ILogger<RedisMemoryPressure> logger)
    : BackgroundLoop(time, logger)
{
    /// <summary>The fraction of <c>maxmemory</c> above which new jobs are rejected.</summary>
    public const double FullFrom = 0.9;

    /// <summary>
    /// How long a result is used if later reads fail. Without a limit, a Redis that was full once and then forbids INFO
    /// would never get a job again.
    /// </summary>
    internal static readonly TimeSpan StaleAfter = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan Every = TimeSpan.FromSeconds(1);

    private readonly TimeProvider time = time;
    private readonly ILogger<RedisMemoryPressure> logger = logger;
    private volatile HashSet<EndPoint> full = [];
    private volatile RedisMemory? latest;
    private long readAt;

    /// <summary>The memory of all servers that store data; null: it could not be read for a while.</summary>
    public RedisMemory? Memory =>
        time.GetElapsedTime(Volatile.Read(ref readAt)) < StaleAfter ? latest : null;

    /// <summary>Whether the server that stores the jobs of an endpoint has no memory for new ones.</summary>
    public bool HasNoRoom(string endpointId) => full is { Count: > 0 } some
        && time.GetElapsedTime(Volatile.Read(ref readAt)) < StaleAfter
        && ServerOf(endpointId) is { } server
        && some.Contains(server);

    /// <summary>
    /// Whether a server with this <c>INFO memory</c> has no memory for new jobs. False for a server without a limit.
    /// </summary>
    public static bool IsFull(string info)
    {
        var (used, limit) = RedisMemory.Read(info);
        return limit > 0 && used >= limit * FullFrom;
    }

    /// <summary>Whether Redis rejected a write because it is at <c>maxmemory</c>.</summary>
    public static bool IsOutOfMemory(Exception e) => RedisFaults.Classify(e) == RedisFault.OutOfMemory;

    /// <summary>Reads the memory use of all servers.</summary>
    public async Task RefreshAsync()
    {
        var found = new HashSet<EndPoint>();
        var memory = new List<RedisMemory>();
        foreach (var address in redis.Connection.GetEndPoints())
        {
            var server = redis.Connection.GetServer(address);
            if (!server.IsConnected || server.IsReplica) continue;
            var info = await server.InfoRawAsync("memory") ?? "";
            memory.Add(RedisMemory.Read(info));
            if (!IsFull(info)) continue;
            found.Add(address);
            if (!full.Contains(address)) RedisMemoryNearlyFull(address.ToString()!, FullFrom);
        }

        full = found;
        latest = RedisMemory.Sum(memory);
        Volatile.Write(ref readAt, time.GetTimestamp());
    }

    protected override async Task RunAsync(CancellationToken ct)
    {
        using var timer = SharedTicks.Every(Every, time);
        do
        {
            try
            {
                await RefreshAsync().WaitAsync(ct);
            }
            catch (Exception e) when (!ct.IsCancellationRequested)
            {
                // For example, the ACL forbids INFO. Redis itself then rejects new jobs at maxmemory.
                RedisMemoryReadFailed(e.Message);
            }
        }
        while (await timer.WaitForNextTickAsync(ct));
    }

    private EndPoint? ServerOf(string endpointId)
    {
        try
        {
            return redis.Connection.GetServer(DispatchKeys.Key(endpointId, "bytes")).EndPoint;
        }
        catch (InvalidOperationException)
        {
            // No server is connected. The submission fails with the reason.
            return null;
        }
    }

    [LoggerMessage(LogLevel.Warning,
        "Redis {Server} uses at least {Threshold:P0} of its maxmemory; new jobs are rejected")]
    private partial void RedisMemoryNearlyFull(string server, double threshold);

    [LoggerMessage(LogLevel.Debug, "Reading the memory use of Redis failed: {Error}")]
    private partial void RedisMemoryReadFailed(string error);
}
