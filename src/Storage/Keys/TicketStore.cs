using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Keys;

/// <summary>
/// Stores tickets: random texts that prove once, for a short time, what their creator was allowed to do. Browsers use
/// them where they cannot send a header.
/// </summary>
public sealed class TicketStore(RedisStore redis)
{
    /// <summary>Stores what a ticket proves.</summary>
    /// <param name="kind">The kind of tickets, which is part of their name.</param>
    /// <param name="ticket">The ticket.</param>
    /// <param name="content">What it proves.</param>
    /// <param name="keep">How long it is valid.</param>
    /// <param name="ct">Cancels the call.</param>
    public Task StoreAsync(string kind, string ticket, string content, TimeSpan keep, CancellationToken ct) =>
        redis.Database.StringSetAsync(KeyOf(kind, ticket), content, keep).WaitAsync(ct);

    /// <summary>
    /// Returns and deletes what a ticket proves; null: it was used, has expired or never existed. Of concurrent calls,
    /// one gets it.
    /// </summary>
    public async Task<string?> RedeemAsync(string kind, string ticket, CancellationToken ct) =>
        await redis.Database.StringGetDeleteAsync(KeyOf(kind, ticket)).WaitAsync(ct);

    private static RedisKey KeyOf(string kind, string ticket) => $"sluice:{{tickets}}:{kind}:{ticket}";
}
