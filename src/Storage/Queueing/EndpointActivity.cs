using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Queueing;

/// <summary>
/// Finds the few endpoints of many that have certain keys in Redis, with one command for many endpoints. Redis Cluster,
/// which would reject such commands, is not supported (ADR 128).
/// </summary>
public sealed class EndpointActivity(RedisStore redis)
{
    /// <summary>Endpoints in one command. Redis checks their keys in about 50 microseconds.</summary>
    private const int AtOnce = 64;

    /// <summary>Parts of an endpoint that exist while it has tickets, leases, running jobs or ready workers.</summary>
    private static readonly string[] Dispatch = ["queue", "leases", "running", "capacity"];

    /// <summary>Returns those of the endpoints that have tickets, leases, running jobs or ready workers.</summary>
    public Task<IReadOnlyList<string>> FindBusyAsync(IReadOnlyList<string> endpoints, CancellationToken ct) =>
        FindAsync(endpoints, Dispatch, ct);

    /// <summary>Returns those of the endpoints that have webhook deliveries to make, now or later.</summary>
    public Task<IReadOnlyList<string>> FindWithDeliveriesAsync(
        IReadOnlyList<string> endpoints, CancellationToken ct) => FindAsync(endpoints, ["outbox"], ct);

    private async Task<IReadOnlyList<string>> FindAsync(
        IReadOnlyList<string> endpoints, string[] parts, CancellationToken ct)
    {
        var db = redis.Database;
        var chunks = endpoints.Chunk(AtOnce).ToList();
        // All commands are sent without waiting, and their replies are awaited together.
        var counts = await Task.WhenAll(chunks.Select(c => db.KeyExistsAsync([.. c.SelectMany(KeysOf)]))).WaitAsync(ct);
        var candidates = chunks.Where((_, i) => counts[i] > 0).SelectMany(c => c).ToList();
        var exist = await Task.WhenAll(candidates.Select(e => db.KeyExistsAsync([.. KeysOf(e)]))).WaitAsync(ct);
        return [.. candidates.Where((_, i) => exist[i] > 0)];

        IEnumerable<RedisKey> KeysOf(string endpoint) => parts.Select(p => DispatchKeys.Key(endpoint, p));
    }
}
