using System.Globalization;
using Sluice.Core.Redis;
using StackExchange.Redis;

namespace Sluice.Core.Jobs.Webhooks;

/// <summary>Webhook deliveries and signing secrets, an endpoint's together.</summary>
public sealed class WebhookStore(RedisStore redis)
{
    /// <summary>How long a secret that was replaced still signs.</summary>
    public static readonly TimeSpan KeepOldSecret = TimeSpan.FromDays(1);

    private static readonly Script TakeLua = Script.Load("hooks-take");
    private static readonly Script SettleLua = Script.Load("hooks-settle");
    private static readonly Script AgainLua = Script.Load("hooks-again");

    /// <summary>Takes deliveries that are due, each for the length of the lease.</summary>
    public async Task<IReadOnlyList<WebhookTry>> TakeAsync(string endpointId, int max, TimeSpan lease, CancellationToken ct)
    {
        var k = new JobKeys(endpointId);
        var r = (string[])await TakeLua.RunAsync(redis.Database, [k.Outbox, k.Hooks], [max, (long)lease.TotalMilliseconds]).WaitAsync(ct);
        return [.. r.Chunk(5).Select(t => new WebhookTry(endpointId, t[0], t[1], t[2], int.Parse(t[3], CultureInfo.InvariantCulture), At(t[4])))];
    }

    /// <summary>Writes down how a try went; <paramref name="next"/> null: there is no other. False when another try was taken meanwhile.</summary>
    public async Task<bool> SettleAsync(WebhookTry t, TimeSpan? next, string state, string note, CancellationToken ct)
    {
        var k = new JobKeys(t.EndpointId);
        return (int)await SettleLua.RunAsync(redis.Database, [k.Outbox, k.Hook(t.Delivery)],
            [t.Delivery, t.Try, next is { } pause ? (long)pause.TotalMilliseconds : "", state, note.ReplaceLineEndings(" ")]).WaitAsync(ct) == 1;
    }

    /// <summary>Delivers once more; false when there is no such delivery.</summary>
    public async Task<bool> AgainAsync(string endpointId, string delivery, CancellationToken ct)
    {
        var k = new JobKeys(endpointId);
        return (int)await AgainLua.RunAsync(redis.Database, [k.Outbox, k.Hook(delivery)], [delivery]).WaitAsync(ct) == 1;
    }

    /// <summary>The newest deliveries first.</summary>
    public async Task<IReadOnlyList<WebhookDelivery>> ListAsync(string endpointId, int offset, int limit, CancellationToken ct)
    {
        var k = new JobKeys(endpointId);
        var ids = await redis.Database.SortedSetRangeByRankAsync(k.Log, offset, offset + limit - 1, Order.Descending).WaitAsync(ct);
        var all = await Task.WhenAll(ids.Select(id => FindAsync(endpointId, id!, ct)));
        return [.. all.OfType<WebhookDelivery>()];
    }

    public async Task<WebhookDelivery?> FindAsync(string endpointId, string delivery, CancellationToken ct)
    {
        var h = (await redis.Database.HashGetAllAsync(new JobKeys(endpointId).Hook(delivery)).WaitAsync(ct))
            .ToDictionary(e => (string)e.Name!, e => (string)e.Value!);
        if (h.Count == 0) return null;
        return new WebhookDelivery(delivery, h["job"], h["url"], h["status"], h["state"], int.Parse(h["tries"], CultureInfo.InvariantCulture),
            At(h["made"]), h.TryGetValue("next", out var next) ? At(next) : null,
            [.. h.GetValueOrDefault("log", "").Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => l.Split('|', 2))
                .Select(l => new WebhookNote(At(l[0]), l[1]))]);
    }

    /// <summary>The secrets that sign now, the newest first; the first look makes one.</summary>
    public async Task<IReadOnlyList<string>> SecretsAsync(string endpointId, DateTimeOffset now, CancellationToken ct)
    {
        var key = new JobKeys(endpointId).Secrets;
        var values = await redis.Database.HashGetAsync(key, ["secret", "old", "oldUntil"]).WaitAsync(ct);
        if (values[0].IsNull)
        {
            await ControlWrite.RunAsync(redis.Database, key, "HSETNX", "secret", WebhookSignature.NewSecret()).WaitAsync(ct);
            return [(string)(await redis.Database.HashGetAsync(key, "secret").WaitAsync(ct))!];
        }

        return !values[1].IsNull && (long)values[2] > now.ToUnixTimeMilliseconds() ? [(string)values[0]!, (string)values[1]!] : [(string)values[0]!];
    }

    /// <summary>Replaces the secret; the old one signs beside it for <see cref="KeepOldSecret"/>.</summary>
    public async Task<string> RotateAsync(string endpointId, DateTimeOffset now, CancellationToken ct)
    {
        var old = (await SecretsAsync(endpointId, now, ct))[0];
        var fresh = WebhookSignature.NewSecret();
        await ControlWrite.RunAsync(redis.Database, new JobKeys(endpointId).Secrets, "HSET",
            "secret", fresh, "old", old, "oldUntil", (now + KeepOldSecret).ToUnixTimeMilliseconds()).WaitAsync(ct);
        return fresh;
    }

    private static DateTimeOffset At(string ms) => DateTimeOffset.FromUnixTimeMilliseconds((long)double.Parse(ms, CultureInfo.InvariantCulture));
}

/// <summary>One try to deliver; <see cref="Try"/> counts from 1 and fences its settlement.</summary>
public sealed record WebhookTry(string EndpointId, string Delivery, string Job, string Url, int Try, DateTimeOffset Made);

/// <summary>A delivery: pending, delivered or failed.</summary>
public sealed record WebhookDelivery(string Id, string Job, string Url, string JobStatus, string State, int Tries, DateTimeOffset Made,
    DateTimeOffset? Next, IReadOnlyList<WebhookNote> Log);

/// <summary>How a try went.</summary>
public sealed record WebhookNote(DateTimeOffset At, string Note);
