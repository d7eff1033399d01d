using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using Sluice.Domain.Usage;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Usage;

/// <summary>
/// Stores what keys used of endpoints, in sums by hour. Jobs are counted by the scripts that end them
/// (<c>ending.part.lua</c>), requests in numbered batches of their gateway, and the time of workers by the leader. Each
/// way counts once, whatever is repeated.
/// </summary>
public sealed class UsageLedger(RedisStore redis, TimeProvider time)
{
    /// <summary>How long hours are kept. Then they are added to their day.</summary>
    public static readonly TimeSpan HoursKept = TimeSpan.FromDays(40);

    /// <summary>How long days are kept. Then they are added to their month, which is kept forever.</summary>
    public static readonly TimeSpan DaysKept = TimeSpan.FromDays(400);

    /// <summary>
    /// How long the number of the last batch of a gateway is stored: longer than a gateway repeats a batch.
    /// </summary>
    public static readonly TimeSpan AppliedKept = TimeSpan.FromDays(7);

    /// <summary>
    /// How much time before its first mark a worker counts at most: after an upgrade, workers of a month ago have no
    /// mark.
    /// </summary>
    private static readonly TimeSpan FirstMark = TimeSpan.FromMinutes(10);

    /// <summary>
    /// A worker that is gone counts until the leader's look if the look before it was at most so long ago. Otherwise it
    /// counts until that look.
    /// </summary>
    private static readonly TimeSpan LongestLook = TimeSpan.FromSeconds(15);

    /// <summary>Hashes that one script adds to their day or month.</summary>
    private const int FoldAtOnce = 4;

    /// <summary>Rows of hours that have ended, which this class keeps: about 40 MB.</summary>
    private const int MostKeptRows = 200_000;

    /// <summary>After its end, an hour may still change for this time: the clock of Redis may be late.</summary>
    private static readonly TimeSpan Skew = TimeSpan.FromMinutes(5);

    private readonly ConcurrentDictionary<(string Endpoint, string Name), Dictionary<UsageRow, UsageSums>> ended =
        new();

    private int endedRows;

    private static readonly Script AddLua = Script.Load("ledger-add");
    private static readonly Script TimeLua = Script.Load("ledger-time");
    private static readonly Script FoldLua = Script.Load("ledger-fold");
    private static readonly Script SettleLua = Script.Load("ledger-settle");

    /// <summary>The largest ledger whose ended jobs are compared with the counters (<c>MOST_FIELDS</c>).</summary>
    private const int MostCompared = 100_000;

    /// <summary>Counts a batch of a gateway. A repeated call counts nothing.</summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="gateway">The gateway; another one after each restart.</param>
    /// <param name="number">The number of the batch, larger than that of every earlier batch.</param>
    /// <param name="rows">The sums.</param>
    /// <param name="ct">Stops waiting for the reply.</param>
    public Task AddAsync(string endpointId, string gateway, long number,
        IReadOnlyCollection<(UsageRow Row, UsageSums Sums)> rows, CancellationToken ct)
    {
        var k = new LedgerKeys(endpointId);
        var args = new List<RedisValue> { number, (long)AppliedKept.TotalMilliseconds };
        foreach (var (row, sums) in rows)
        {
            var text = row.Text;
            foreach (var (quantity, sum) in sums.NonZero)
            {
                args.Add($"{text}|{UsageQuantities.NameOf(quantity)}");
                args.Add(sum);
            }
        }

        return AddLua.RunAsync(redis.Database, [k.Ledger, k.Meta, k.Applied(gateway)], [.. args]).WaitAsync(ct);
    }

    /// <summary>Counts the time of the workers of an endpoint since the last call of any leader.</summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="workers">Its workers that start or are ready. Others that were counted are gone.</param>
    /// <param name="ct">Stops waiting for the reply.</param>
    /// <returns>The number of workers that will be counted by the next call.</returns>
    public async Task<int> AddTimesAsync(
        string endpointId, IReadOnlyCollection<WorkerTime> workers, CancellationToken ct)
    {
        var k = new LedgerKeys(endpointId);
        RedisValue[] args =
        [
            (long)FirstMark.TotalMilliseconds, (long)LongestLook.TotalMilliseconds,
            .. workers.SelectMany(w => new RedisValue[]
            {
                w.PodId, w.Row.Text, w.StartedAt.ToUnixTimeMilliseconds(), w.ReadyAt?.ToUnixTimeMilliseconds() ?? 0,
            }),
        ];
        return (int)await TimeLua.RunAsync(redis.Database, [k.Ledger, k.Meta, k.Pods, k.Marks], args).WaitAsync(ct);
    }

    /// <summary>Adds old hours to days, and old days to months.</summary>
    public async Task FoldAsync(string endpointId, CancellationToken ct)
    {
        var k = new LedgerKeys(endpointId);
        RedisValue[] args =
            [(long)HoursKept.TotalMilliseconds, (long)DaysKept.TotalMilliseconds, FoldAtOnce];
        while ((int)await FoldLua.RunAsync(redis.Database, [k.Ledger], args).WaitAsync(ct) == FoldAtOnce)
            ct.ThrowIfCancellationRequested();
    }

    /// <summary>
    /// Accepts that builds without usage ended jobs of an endpoint. Returns the number of these jobs since the last
    /// call.
    /// </summary>
    public async Task<long> SettleAsync(string endpointId, CancellationToken ct)
    {
        var k = new LedgerKeys(endpointId);
        return (long)await SettleLua.RunAsync(redis.Database, [k.Ledger, k.Meta], [MostCompared]).WaitAsync(ct);
    }

    /// <summary>Stores that endpoints may have usage.</summary>
    public Task RegisterAsync(IEnumerable<string> endpoints, CancellationToken ct) => ReservedWrite.RunAsync(
        redis.Database, LedgerKeys.Endpoints, "SADD", [.. endpoints.Select(e => (RedisValue)e)]).WaitAsync(ct);

    /// <summary>Returns the endpoints that may have usage, with deleted ones.</summary>
    public async Task<IReadOnlyList<string>> EndpointsAsync(CancellationToken ct) =>
        [.. (await redis.Database.SetMembersAsync(LedgerKeys.Endpoints).WaitAsync(ct)).Select(e => (string)e!)];

    /// <summary>Returns the prices.</summary>
    public async Task<PriceTable> PricesAsync(CancellationToken ct) =>
        (string?)await redis.Database.StringGetAsync(LedgerKeys.Prices).WaitAsync(ct) is { } json
            ? JsonSerializer.Deserialize(json, UsageJson.Default.PriceTable)!
            : PriceTable.Empty;

    /// <summary>Replaces the prices.</summary>
    public Task PutPricesAsync(PriceTable prices, CancellationToken ct) => ReservedWrite.RunAsync(redis.Database,
        LedgerKeys.Prices, "SET", JsonSerializer.Serialize(prices, UsageJson.Default.PriceTable)).WaitAsync(ct);

    /// <summary>Returns the usage of an endpoint in the periods that begin in a range.</summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="since">The begin of the range.</param>
    /// <param name="until">The end of the range, exclusive.</param>
    /// <param name="ct">Cancels the read.</param>
    public async Task<IReadOnlyList<UsagePeriod>> ReadAsync(
        string endpointId, DateTimeOffset since, DateTimeOffset until, CancellationToken ct)
    {
        var (k, db) = (new LedgerKeys(endpointId), redis.Database);
        var found = await db.SortedSetRangeByScoreWithScoresAsync(k.Ledger, since.ToUnixTimeMilliseconds(),
            until.ToUnixTimeMilliseconds(), Exclude.Stop).WaitAsync(ct);
        var reads = Array.ConvertAll(found, f => ended.ContainsKey((endpointId, (string)f.Element!))
            ? null : db.HashGetAllAsync(k.Period((string)f.Element!)));
        var periods = new List<UsagePeriod>();
        for (var i = 0; i < found.Length; i++)
        {
            var (name, begin) = (
                (string)found[i].Element!, DateTimeOffset.FromUnixTimeMilliseconds((long)found[i].Score));
            var rows = reads[i] is { } read ? Rows(await read.WaitAsync(ct))
                : ended.GetValueOrDefault((endpointId, name)) ?? Rows(await db.HashGetAllAsync(k.Period(name)));
            if (reads[i] is not null) Keep(endpointId, name, begin, rows);
            periods.Add(new UsagePeriod(endpointId, begin, LengthOf(name), rows));
        }

        return periods;
    }

    /// <summary>Keeps an hour that has ended: it is never changed, and every query of its month reads it.</summary>
    private void Keep(string endpointId, string name, DateTimeOffset begin, Dictionary<UsageRow, UsageSums> rows)
    {
        if (LengthOf(name) != UsagePeriodLength.Hour || begin.AddHours(1) + Skew > time.GetUtcNow()) return;
        if (!ended.TryAdd((endpointId, name), rows)
            || Interlocked.Add(ref endedRows, rows.Count) <= MostKeptRows) return;
        ended.Clear();
        Interlocked.Exchange(ref endedRows, 0);
    }

    private static UsagePeriodLength LengthOf(string name) => name[0] switch
    {
        'h' => UsagePeriodLength.Hour,
        'd' => UsagePeriodLength.Day,
        _ => UsagePeriodLength.Month,
    };

    private static Dictionary<UsageRow, UsageSums> Rows(HashEntry[] entries)
    {
        var rows = new Dictionary<UsageRow, UsageSums>();
        foreach (var entry in entries)
        {
            if (UsageRow.Parse((string)entry.Name!) is not { } field
                || UsageQuantities.Find(field.Quantity) is not { } quantity
                || !long.TryParse((string?)entry.Value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture,
                    out var sum)) continue;
            if (!rows.TryGetValue(field.Row, out var sums)) rows[field.Row] = sums = new UsageSums();
            sums.Add(quantity, sum);
        }

        return rows;
    }
}
