using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Audit;

/// <summary>
/// The audit log in Redis, shared by all gateways: the latest <see cref="MaxEntries"/> changes and the latest
/// <see cref="MaxRefusals"/> refused logins, in two streams, so that refused logins displace no change. When Redis is
/// unavailable, methods throw the exceptions that <see cref="RedisErrors"/> identifies.
/// </summary>
public sealed class AuditStore(RedisStore redis)
{
    /// <summary>Changes that are stored; about 1 KB each, and at most <see cref="MaxSide"/> twice.</summary>
    public const int MaxEntries = 5000;

    /// <summary>Refused logins that are stored, about 200 bytes each.</summary>
    public const int MaxRefusals = 2000;

    /// <summary>The largest size of one side of a change, in characters of JSON.</summary>
    public const int MaxSide = 8192;

    private static readonly RedisKey Changes = "sluice:{audit}:changes";
    private static readonly RedisKey Refusals = "sluice:{audit}:refused";
    private static readonly RedisValue Field = "json";

    /// <summary>Stores a change. Large values are cut, and the entry says so.</summary>
    public Task AddAsync(AuditEntry entry, CancellationToken ct) => AddAsync(Changes,
        entry with { Before = Bound(entry.Before), After = Bound(entry.After) },
        AuditJson.Default.AuditEntry, MaxEntries, ct);

    /// <summary>Stores refused logins.</summary>
    public Task AddAsync(RefusedLogin refused, CancellationToken ct) =>
        AddAsync(Refusals, refused, AuditJson.Default.RefusedLogin, MaxRefusals, ct);

    /// <summary>Reads changes, newest first.</summary>
    /// <param name="range">The part of the log.</param>
    /// <param name="ct">Cancels the wait.</param>
    public async Task<IReadOnlyList<AuditEntry>> ReadChangesAsync(AuditRange range, CancellationToken ct) =>
        [
            .. (await ReadAsync(Changes, range, AuditJson.Default.AuditEntry, ct))
                .Select(e => e.Value with { Id = e.Id }),
        ];

    /// <summary>Reads refused logins, newest first.</summary>
    /// <param name="range">The part of the log.</param>
    /// <param name="ct">Cancels the wait.</param>
    public async Task<IReadOnlyList<RefusedLogin>> ReadRefusalsAsync(AuditRange range, CancellationToken ct) =>
        [
            .. (await ReadAsync(Refusals, range, AuditJson.Default.RefusedLogin, ct))
                .Select(e => e.Value with { Id = e.Id }),
        ];

    private Task<RedisValue> AddAsync<T>(RedisKey key, T value, JsonTypeInfo<T> type, int max, CancellationToken ct) =>
        redis.Database.StreamAddAsync(key, Field, JsonSerializer.Serialize(value, type), maxLength: max)
            .WaitAsync(ct);

    private async Task<List<(string Id, T Value)>> ReadAsync<T>(
        RedisKey key, AuditRange range, JsonTypeInfo<T> type, CancellationToken ct)
    {
        var (min, max) = (Bound(range.Since, "-"), range.Before is { } id ? $"({id}" : Bound(range.Until, "+"));
        var entries = await redis.Database
            .StreamRangeAsync(key, min, max, range.Limit, Order.Descending)
            .WaitAsync(ct);
        var read = new List<(string, T)>();
        foreach (var entry in entries)
            if (Parse(entry[Field], type) is { } value)
                read.Add(((string)entry.Id!, value));
        return read;
    }

    /// <summary>An entry that cannot be read is skipped, so that it does not hide the others.</summary>
    private static T? Parse<T>(RedisValue json, JsonTypeInfo<T> type)
    {
        try
        {
            return JsonSerializer.Deserialize((string?)json ?? "null", type);
        }
        catch (JsonException)
        {
            return default;
        }
    }

    private static string Bound(DateTimeOffset? time, string open) =>
        time?.ToUnixTimeMilliseconds().ToString(CultureInfo.InvariantCulture) ?? open;

    private static JsonObject? Bound(JsonObject? side)
    {
        if (side?.ToJsonString() is not { Length: > MaxSide } text) return side;
        return new JsonObject { ["cut"] = text[..MaxSide], ["characters"] = text.Length };
    }
}
