using System.Globalization;
using System.Text;
using Sluice.Domain.Fleet;
using Sluice.Domain.Jobs;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Queueing;

/// <summary>
/// Runs the dispatch scripts, one method per script. The header of each script documents its arguments and result.
/// </summary>
public sealed class DispatchScripts(RedisStore redis)
{
    /// <summary>
    /// Start tags of low priority begin at this value: no endpoint serves that many requests of normal priority.
    /// </summary>
    internal const long LowPriorityFrom = 1_000_000_000_000;

    /// <summary>
    /// The most tickets and input bytes in one grant pass. Redis runs no other command during the pass.
    /// </summary>
    private const int MaxPass = 256;
    private const int MaxPassBytes = 4 << 20;

    private static readonly Script AcquireLua = Script.Load("acquire");
    private static readonly Script ReleaseLua = Script.Load("release");
    private static readonly Script RenewLua = Script.Load("renew");
    private static readonly Script AbandonLua = Script.Load("abandon");
    private static readonly Script WorkerUpLua = Script.Load("worker-up");
    private static readonly Script WorkerDrainLua = Script.Load("worker-drain");
    private static readonly Script WorkerDownLua = Script.Load("worker-down");
    private static readonly Script ReapLua = Script.Load("reap");
    private static readonly Script SnapshotLua = Script.Load("snapshot");
    private static readonly Script BlockLua = Script.Load("block");

    /// <summary>
    /// The number of tickets searched for the oldest one. The first ticket is the oldest, except when other flows or
    /// retries were queued before it.
    /// </summary>
    private const int OldestOf = 64;

    public async Task<AcquireAnswer> AcquireAsync(DispatchKeys k, string endpointId, string holder, bool fresh,
        TimeSpan lease, int maxDepth, int spare, IReadOnlyList<TicketRequest> tickets)
    {
        var args = new List<RedisValue>(6 + 8 * tickets.Count)
        {
            holder, fresh ? 1 : 0, Ms(lease), maxDepth, spare, endpointId,
        };
        foreach (var t in tickets)
        {
            args.Add(t.Id);
            args.Add(t.Flow);
            args.Add(Ms(t.Wait));
            args.Add(t.Isolated ? 2 : t.Front ? 1 : 0);
            args.Add(t.Weight);
            args.Add(t.Preferred?.PodId ?? "");
            args.Add(t.Preferred?.Margin ?? 0);
            args.Add(t.Tokens);
        }

        var r = await RunAsync(AcquireLua,
            [k.Leases, k.Held, k.Free, k.Queue, k.Meta, k.Finish, k.Capacity, k.Blocked, k.TokenCapacity, k.Tokens],
            [.. args]);
        if (r.Length == 1) return AcquireAnswer.LostLease;
        return new AcquireAnswer(
            false,
            (int)r[1],
            Grants(r[2]),
            Pairs(r[3]),
            Pairs(r[4]),
            r[5].Texts(),
            r[6].Text(),
            (int)r[7]);
    }

    /// <summary>Stores ends of jobs, returns slots, and grants free slots to waiting tickets.</summary>
    /// <param name="keys">The keys of the endpoint.</param>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="holder">The holder that returns slots; empty: no slots are returned.</param>
    /// <param name="slots">The slots to return, with their tokens.</param>
    /// <param name="ends">The attempts that ended.</param>
    /// <param name="claims">Whether the holder runs jobs.</param>
    /// <param name="token">The token for the fences of claimed jobs; see <see cref="Fence.NewToken"/>.</param>
    public async Task<ReleaseAnswer> ReleaseAsync(
        JobKeys keys,
        string endpointId,
        string holder,
        IReadOnlyCollection<SlotCount> slots,
        IReadOnlyList<JobEnd> ends,
        bool claims,
        string token = "")
    {
        var k = keys.Dispatch;
        var (kinds, rest) = EndCall.Args(ends);
        List<RedisValue> args =
        [
            holder, endpointId, LowPriorityFrom, claims ? 1 : 0, MaxPass, MaxPassBytes, EndCall.KeepDeadMs, token,
            slots.Count, kinds,
        ];
        AddSlots(args, slots);
        args.AddRange(rest);
        var r = await RunAsync(
            ReleaseLua,
            [
                k.Leases, k.Held, k.Free, k.Queue, k.Meta, k.Grants, k.Running, k.Flows, k.Jobs, k.Retries, k.Watchers,
                k.Results, k.Blobs, keys.Expiry, keys.Dead, keys.Outbox, keys.Log, keys.Hooks, keys.Bytes, k.Capacity,
                k.TokenCapacity, k.Tokens, keys.Ledger,
            ],
            [.. args]);
        return new ReleaseAnswer(
            r[0].Text() == "lost",
            (int)r[1],
            Grants(r[2]),
            Claims(r[3].Items(), token),
            (int)r[4] == 1,
            EndCall.Results(ends, r[5].Items()));
    }

    /// <summary>Renews the lease of a holder and reconciles its slots with Redis.</summary>
    public async Task<RenewAnswer> RenewAsync(DispatchKeys k, RenewReport report)
    {
        var args = new List<RedisValue>
        {
            report.Holder, Ms(report.Lease),
            report.Unowned > 0 ? $"{report.Busy}|{report.Unowned}" : report.Busy,
            report.Completed, report.Slots.Count, report.Accepted.Count, report.Running.Count, report.ServedMs,
            report.Token,
        };
        AddSlots(args, report.Slots);
        foreach (var entry in report.Accepted) args.Add(entry);
        foreach (var job in report.Running) args.Add(job);
        foreach (var entry in report.Queued) args.Add(entry);
        var r = await RunAsync(
            RenewLua,
            [k.Leases, k.Held, k.Free, k.Queue, k.Meta, k.Grants, k.Busy, k.Running, k.Capacity, k.Retries,
                k.Jobs, k.TokenCapacity, k.Tokens],
            [.. args]);
        if (r.Length == 1) return RenewAnswer.LostLease;
        return new RenewAnswer(
            false,
            (int)r[1],
            Grants(r[2]),
            r[3].Texts(),
            r[4].Texts(),
            Orphans(r[5].Texts(), report.Token),
            r[6].Texts(),
            (int)r[7]);
    }

    /// <summary>Removes tickets whose callers are gone.</summary>
    /// <returns>How many entries were still queued, and how many granted slots became free.</returns>
    public async Task<(int Removed, int Freed)> AbandonAsync(DispatchKeys k, IReadOnlyList<string> entries)
    {
        var r = await RunAsync(AbandonLua, [k.Held, k.Free, k.Queue, k.Grants, k.Capacity, k.TokenCapacity, k.Tokens],
            [.. entries.Select(e => (RedisValue)e)]);
        return ((int)r[0], (int)r[1]);
    }

    public async Task<bool> WorkerUpAsync(DispatchKeys k, string pod, string address, int slots,
        TokenCapacity? room = null) =>
        (int)await WorkerUpLua.RunAsync(redis.Database, [k.Workers, k.Capacity, k.Free, k.Held, k.TokenCapacity],
            [pod, address, slots, room?.Text ?? ""]) == 1;

    public async Task<bool> WorkerDrainAsync(DispatchKeys k, string endpointId, string pod) =>
        (int)await WorkerDrainLua.RunAsync(redis.Database, [k.Free], [pod, endpointId]) == 1;

    public async Task<bool> WorkerDownAsync(DispatchKeys k, string endpointId, string pod) =>
        (int)await WorkerDownLua.RunAsync(redis.Database,
            [k.Workers, k.Capacity, k.Free, k.Held, k.TokenCapacity, k.Tokens],
            [pod, endpointId]) == 1;

    /// <summary>Ends expired leases and unaccepted grants.</summary>
    /// <param name="k">The keys of the endpoint.</param>
    /// <param name="acceptWithin">How long a grant may stay unaccepted.</param>
    /// <param name="gap">
    /// The longest normal time between two calls. After a longer gap, holders get time to renew first. Zero: no limit.
    /// </param>
    public async Task<ReapAnswer> ReapAsync(DispatchKeys k, TimeSpan acceptWithin, TimeSpan gap)
    {
        var r = await RunAsync(
            ReapLua,
            [
                k.Leases, k.Held, k.Free, k.Queue, k.Grants, k.Busy, k.Meta, k.Running, k.Flows, k.Jobs, k.Retries,
                k.Watchers, k.Capacity, k.TokenCapacity, k.Tokens,
            ],
            [Ms(acceptWithin), Ms(gap), Ms(Leases.Length)]);
        return new ReapAnswer((int)r[0], (int)r[1], (int)r[2], (int)r[3]) { IsOpen = (int)r[4] == 1 };
    }

    public async Task<EndpointSnapshot> SnapshotAsync(DispatchKeys k)
    {
        var r = await RunAsync(SnapshotLua,
            [k.Leases, k.Held, k.Free, k.Queue, k.Meta, k.Busy, k.Capacity, k.Running, k.Blocked,
                k.TokenCapacity, k.Tokens, k.Jobs],
            [OldestOf, LowPriorityFrom]);
        var free = Pairs(r[6]).ToDictionary(p => p.Item1, p => Number(p.Item2));
        var leases = Pairs(r[7]).Select(p => Lease(p.Item1, Number(p.Item2))).ToArray();
        var rooms = Pairs(r[14]).ToDictionary(p => p.Item1, p => p.Item2);
        var tokens = Pairs(r[15]).ToDictionary(p => p.Item1, p => long.Parse(p.Item2, CultureInfo.InvariantCulture));
        var leased = leases.GroupBy(l => l.PodId).ToDictionary(g => g.Key, g => g.Sum(l => l.Slots));
        return new EndpointSnapshot
        {
            Now = DateTimeOffset.FromUnixTimeMilliseconds((long)r[0]),
            Queued = (int)r[1],
            OldestWait = TimeSpan.FromMilliseconds((long)r[2]),
            Busy = (int)r[3],
            Completed = (long)r[4],
            Workers = [.. Pairs(r[5]).Select(p => new WorkerSlots(p.Item1, Number(p.Item2),
                free.GetValueOrDefault(p.Item1), leased.GetValueOrDefault(p.Item1), !free.ContainsKey(p.Item1))
            {
                Cache = rooms.TryGetValue(p.Item1, out var room) ? TokenCapacity.FromText(room) : null,
                Tokens = tokens.GetValueOrDefault(p.Item1),
            })],
            Leases = leases,
            LowPriority = (int)r[8],
            JobsQueued = (int)r[9],
            JobsRunning = (int)r[10],
            Served = TimeSpan.FromMilliseconds((long)r[11]),
            Blocked = WorkerSlotStore.ReadBlocked(r[12].Text()),
            Refused = (long)r[13],
            TokensPerTicket = (int)r[16] > 0 ? (double)(long)r[17] / (int)r[16] : 0,
        };
    }

    /// <summary>Stores why no worker of the endpoint can start.</summary>
    /// <param name="k">The keys of the endpoint.</param>
    /// <param name="reason">The reason, as JSON.</param>
    /// <param name="expires">When the block expires; zero: it does not expire.</param>
    /// <param name="counts">Whether the waiting requests count as demand for the next start.</param>
    public Task BlockAsync(DispatchKeys k, string reason, TimeSpan expires, bool counts) =>
        BlockLua.RunAsync(
            redis.Database,
            [k.Blocked, k.Queue, k.Meta],
            [reason, (long)Math.Ceiling(expires.TotalMilliseconds), counts ? 1 : 0]);

    private async Task<RedisResult[]> RunAsync(Script script, RedisKey[] keys, RedisValue[] args) =>
        (await script.RunAsync(redis.Database, keys, args)).Items();

    private static HeldSlots Lease(string field, int slots)
    {
        var bar = field.IndexOf('|', StringComparison.Ordinal);
        return new HeldSlots(field[..bar], field[(bar + 1)..], slots);
    }

    private static void AddSlots(List<RedisValue> args, IEnumerable<SlotCount> slots)
    {
        foreach (var (pod, count, tokens) in slots)
        {
            args.Add(pod);
            args.Add(count);
            args.Add(tokens);
        }
    }

    private static long Ms(TimeSpan t) => (long)t.TotalMilliseconds;

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);

    private static JobClaim[] Claims(RedisResult[] flat, string token)
    {
        const int width = 3;
        var claims = new JobClaim[flat.Length / width];
        for (var i = 0; i < claims.Length; i++)
        {
            var at = i * width;
            // attempt|pod|why|timeout|queued|tokens|flow|s3
            var run = flat[at + 1].Text().Split('|', 8);
            var timeout = long.Parse(run[3], CultureInfo.InvariantCulture);
            var queued = long.Parse(run[4], CultureInfo.InvariantCulture);
            var (trace, s3) = JobSerializer.SplitTrace(run[7]);
            claims[i] = new JobClaim(
                flat[at].Text(),
                Number(run[0]),
                run[1],
                run[2],
                TimeSpan.FromMilliseconds(timeout),
                (byte[]?)flat[at + 2],
                s3.Length > 0 ? Encoding.UTF8.GetBytes(s3) : null,
                DateTimeOffset.FromUnixTimeMilliseconds(queued))
            {
                Token = token,
                Flow = run[6],
                Trace = trace,
                Tokens = long.Parse(run[5], CultureInfo.InvariantCulture),
            };
        }

        return claims;
    }

    private static JobClaim[] Orphans(string[] flat, string token) =>
    [
        .. flat.Chunk(5).Select(o => new JobClaim(o[0], Number(o[1]), o[2], o[3])
        {
            Token = token,
            Tokens = long.Parse(o[4], CultureInfo.InvariantCulture),
        }),
    ];

    private static SlotGrant[] Grants(RedisResult r) => [.. Pairs(r).Select(p => new SlotGrant(p.Item1, p.Item2))];

    private static (string, string)[] Pairs(RedisResult r)
    {
        var flat = r.Texts();
        var pairs = new (string, string)[flat.Length / 2];
        for (var i = 0; i < pairs.Length; i++) pairs[i] = (flat[2 * i], flat[2 * i + 1]);
        return pairs;
    }
}
