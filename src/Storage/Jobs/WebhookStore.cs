using System.Globalization;
using Sluice.Domain.Webhooks;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Jobs;

/// <summary>Stores the webhook deliveries and signing secrets of endpoints.</summary>
public sealed class WebhookStore(RedisStore redis)
{
    /// <summary>How long a replaced secret is still used for signatures.</summary>
    public static readonly TimeSpan KeepOldSecret = TimeSpan.FromDays(1);

    private static readonly Script TakeLua = Script.Load("hooks-take");
    private static readonly Script SettleLua = Script.Load("hooks-settle");
    private static readonly Script AgainLua = Script.Load("hooks-again");

    /// <summary>Leases deliveries that are due.</summary>
    public async Task<LeasedWebhooks> TakeAsync(
        string endpointId,
        int max,
        TimeSpan lease,
        CancellationToken ct)
    {
        var k = new JobKeys(endpointId);
        var reply = await TakeLua.RunAsync(
            redis.Database,
            [k.Outbox, k.Hooks],
            [max, (long)lease.TotalMilliseconds]).WaitAsync(ct);
        var r = reply.Items();
        var tries = r[0].Texts().Chunk(5).Select(t => new WebhookTry(
            endpointId,
            t[0],
            t[1],
            t[2],
            int.Parse(t[3], CultureInfo.InvariantCulture),
            At(t[4])));
        return new LeasedWebhooks([.. tries], r[1].Texts());
    }

    /// <summary>Stores the result of a delivery attempt. Returns false if another attempt was leased since.</summary>
    /// <param name="t">The attempt.</param>
    /// <param name="next">The pause before the next attempt; null: there is none.</param>
    /// <param name="state">The new state: pending, delivered or failed.</param>
    /// <param name="note">The line for the log of the delivery.</param>
    /// <param name="ct">Cancels the call.</param>
    public async Task<bool> SettleAsync(
        WebhookTry t,
        TimeSpan? next,
        string state,
        string note,
        CancellationToken ct)
    {
        var k = new JobKeys(t.EndpointId);
        var pause = next is { } wait ? (long)wait.TotalMilliseconds : RedisValue.EmptyString;
        return (int)await SettleLua.RunAsync(
            redis.Database,
            [k.Outbox, k.Hook(t.Delivery)],
            [t.Delivery, t.Try, pause, state, note.ReplaceLineEndings(" ")]).WaitAsync(ct) == 1;
    }

    /// <summary>Delivers a webhook again. Returns false if the delivery does not exist.</summary>
    public async Task<bool> RedeliverAsync(string endpointId, string delivery, CancellationToken ct)
    {
        var k = new JobKeys(endpointId);
        return (int)await AgainLua.RunAsync(redis.Database, [k.Outbox, k.Hook(delivery)], [delivery])
            .WaitAsync(ct) == 1;
    }

    /// <summary>Lists deliveries, newest first.</summary>
    public async Task<IReadOnlyList<WebhookDelivery>> ListAsync(
        string endpointId,
        int offset,
        int limit,
        CancellationToken ct)
    {
        var k = new JobKeys(endpointId);
        var ids = await redis.Database
            .SortedSetRangeByRankAsync(k.Log, offset, offset + limit - 1, Order.Descending)
            .WaitAsync(ct);
        var all = await Task.WhenAll(ids.Select(id => FindAsync(endpointId, id!, ct)));
        return [.. all.OfType<WebhookDelivery>()];
    }

    public async Task<WebhookDelivery?> FindAsync(string endpointId, string delivery, CancellationToken ct)
    {
        var h = (await redis.Database.HashGetAllAsync(new JobKeys(endpointId).Hook(delivery)).WaitAsync(ct))
            .ToDictionary(e => (string)e.Name!, e => (string)e.Value!);
        if (h.Count == 0) return null;
        var notes = h.GetValueOrDefault("log", "")
            .Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => line.Split('|', 2))
            .Select(parts => new WebhookNote(At(parts[0]), parts[1]));
        return new WebhookDelivery(
            delivery,
            h["job"],
            h["url"],
            h["status"],
            h["state"],
            int.Parse(h["tries"], CultureInfo.InvariantCulture),
            At(h["made"]),
            h.TryGetValue("next", out var next) ? At(next) : null,
            [.. notes]);
    }

    /// <summary>Returns the current signing secrets, newest first. The first call creates a secret.</summary>
    public async Task<IReadOnlyList<string>> SecretsAsync(string endpointId, DateTimeOffset now, CancellationToken ct)
    {
        var key = new JobKeys(endpointId).Secrets;
        var values = await redis.Database.HashGetAsync(key, ["secret", "old", "oldUntil"]).WaitAsync(ct);
        if (values[0].IsNull)
        {
            await ReservedWrite.RunAsync(redis.Database, key, "HSETNX", "secret", WebhookSignature.NewSecret())
                .WaitAsync(ct);
            return [(string)(await redis.Database.HashGetAsync(key, "secret").WaitAsync(ct))!];
        }

        var hasOld = !values[1].IsNull && (long)values[2] > now.ToUnixTimeMilliseconds();
        return hasOld ? [(string)values[0]!, (string)values[1]!] : [(string)values[0]!];
    }

    /// <summary>
    /// Replaces the secret. The old secret is also used for signatures for <see cref="KeepOldSecret"/>.
    /// </summary>
    public async Task<string> RotateAsync(string endpointId, DateTimeOffset now, CancellationToken ct)
    {
        var old = (await SecretsAsync(endpointId, now, ct))[0];
        var fresh = WebhookSignature.NewSecret();
        await ReservedWrite.RunAsync(redis.Database, new JobKeys(endpointId).Secrets, "HSET",
            "secret", fresh, "old", old, "oldUntil", (now + KeepOldSecret).ToUnixTimeMilliseconds()).WaitAsync(ct);
        return fresh;
    }

    private static DateTimeOffset At(string ms) =>
        DateTimeOffset.FromUnixTimeMilliseconds((long)double.Parse(ms, CultureInfo.InvariantCulture));
}
