using System.Globalization;
using Sluice.Domain.Batches;
using Sluice.Storage.Files;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Batches;

/// <summary>
/// Stores batches in Redis: their status, the lease of the gateway that runs them, and which lines are in the output.
/// </summary>
/// <remarks>
/// A run writes its lines to blobs of its own, and commits them: the lines and the length of the blobs change in one
/// step, which the token of the run fences. So a line is in the output once, whatever is killed.
/// <para>When Redis is unavailable, methods throw the exceptions that <see cref="RedisErrors"/> identifies.</para>
/// </remarks>
public sealed class BatchStore(RedisStore redis)
{
    /// <summary>
    /// The lease of a run. A run renews it every third of this; after it, another gateway continues the batch.
    /// </summary>
    public static readonly TimeSpan Lease = TimeSpan.FromSeconds(6);

    /// <summary>How long a batch can be read after it has ended. OpenAI keeps the files of batches as long.</summary>
    public static readonly TimeSpan Keep = TimeSpan.FromDays(30);

    /// <summary>The most batches of an owner that may be open.</summary>
    public const int MostOpen = 100;

    /// <summary>The number of open batches that a claim looks at.</summary>
    private const int LookAt = 1000;

    private static readonly Script CreateLua = Script.Load("batch-create");
    private static readonly Script ClaimLua = Script.Load("batch-claim");
    private static readonly Script CommitLua = Script.Load("batch-commit");
    private static readonly Script MoveLua = Script.Load("batch-move");

    /// <summary>Stores a batch. Returns false if the owner has <see cref="MostOpen"/> open batches.</summary>
    /// <param name="id">The id. A second call with the same id changes nothing.</param>
    /// <param name="input">The input, which belongs to the owner of the batch.</param>
    /// <param name="request">What the client asked, as JSON.</param>
    /// <param name="window">The time until the batch expires.</param>
    /// <param name="ct">Cancels the call.</param>
    public async Task<bool> CreateAsync(
        string id,
        StoredFile input,
        string request,
        TimeSpan window,
        CancellationToken ct)
    {
        redis.RequireDisk();
        var reply = await CreateLua.RunAsync(
            redis.Database,
            [BatchKeys.Batch(id), BatchKeys.Parts(id), BatchKeys.Open, BatchKeys.Of(input.Owner), BatchKeys.Used],
            [id, input.Owner, request, input.Id, input.Blob, (long)window.TotalMilliseconds, MostOpen]).WaitAsync(ct);
        return reply.Text() == "ok";
    }

    /// <summary>Returns a batch; null: it does not exist.</summary>
    public async Task<BatchState?> FindAsync(string id, CancellationToken ct) =>
        BatchState.Read(id, await redis.Database.HashGetAllAsync(BatchKeys.Batch(id)).WaitAsync(ct));

    /// <summary>Returns the ids of the batches of an owner, the newest first.</summary>
    public async Task<IReadOnlyList<string>> ListAsync(string owner, CancellationToken ct)
    {
        var ids = await redis.Database.SortedSetRangeByRankAsync(BatchKeys.Of(owner), order: Order.Descending)
            .WaitAsync(ct);
        return [.. ids.Select(i => i.ToString())];
    }

    /// <summary>Removes batches from the list of their owner, because their data has expired.</summary>
    public Task UnlistAsync(string owner, IEnumerable<string> ids, CancellationToken ct) =>
        redis.Database.SortedSetRemoveAsync(BatchKeys.Of(owner), [.. ids.Select(i => (RedisValue)i)]).WaitAsync(ct);

    /// <summary>Returns whether an open batch reads a file.</summary>
    public Task<bool> IsUsedAsync(string file, CancellationToken ct) =>
        redis.Database.HashExistsAsync(BatchKeys.Used, file).WaitAsync(ct);

    /// <summary>Claims a batch for a run; null: there is none without a run.</summary>
    /// <param name="token">Identifies the run. It is used once.</param>
    /// <param name="ct">Cancels the call.</param>
    public async Task<BatchState?> ClaimAsync(string token, CancellationToken ct)
    {
        var id = (await ClaimLua.RunAsync(
            redis.Database,
            [BatchKeys.Open, BatchKeys.Batches],
            [token, (long)Lease.TotalMilliseconds, LookAt]).WaitAsync(ct)).Text();
        return id.Length == 0 ? null : await FindAsync(id, ct);
    }

    /// <summary>Gives up a batch, so that another gateway can continue it immediately.</summary>
    public Task ReleaseAsync(string id, string token, CancellationToken ct) =>
        CommitAsync(id, token, BatchCommit.Renewal, TimeSpan.Zero, ct);

    /// <summary>
    /// Stores that lines are in the output, and renews the lease. Null: another run owns the batch, or Redis lost an
    /// earlier commit. The run must end then.
    /// </summary>
    public Task<BatchLook?> CommitAsync(string id, string token, BatchCommit commit, CancellationToken ct) =>
        CommitAsync(id, token, commit, Lease, ct);

    /// <summary>
    /// Changes the status. Returns whether it changed, and the status; null: the batch does not exist.
    /// </summary>
    /// <param name="id">The batch.</param>
    /// <param name="token">The token of the run; empty: a client asks.</param>
    /// <param name="from">The statuses that allow the change.</param>
    /// <param name="to">The new status.</param>
    /// <param name="ct">Cancels the call.</param>
    /// <param name="fields">Fields to set (see <c>BatchKeys</c>), with their values.</param>
    public async Task<(bool Moved, string Status)?> MoveAsync(
        string id,
        string token,
        IEnumerable<string> from,
        string to,
        CancellationToken ct,
        params (string Name, string Value)[] fields)
    {
        var keep = BatchStatus.IsFinal(to) ? Keep : TimeSpan.Zero;
        var set = fields.SelectMany(f => new RedisValue[] { f.Name, f.Value });
        var r = (await MoveLua.RunAsync(
            redis.Database,
            [BatchKeys.Batch(id), BatchKeys.Done(id), BatchKeys.Parts(id), BatchKeys.Open, BatchKeys.Used],
            [id, token, string.Join(',', from), to, (long)keep.TotalMilliseconds, .. set]).WaitAsync(ct)).Items();
        return r.Length == 0 ? null : ((int)r[0] == 1, r[1].Text());
    }

    /// <summary>
    /// Returns the bitmap of the lines that are in the output: bit n is the n-th bit, from the highest.
    /// </summary>
    public async Task<byte[]> DoneAsync(string id, CancellationToken ct) =>
        (byte[]?)await redis.Database.StringGetAsync(BatchKeys.Done(id)).WaitAsync(ct) ?? [];

    /// <summary>Returns the parts of the output, and those of the errors.</summary>
    public async Task<(IReadOnlyList<Blob> Output, IReadOnlyList<Blob> Errors)> PartsAsync(
        string id,
        CancellationToken ct)
    {
        var parts = await redis.Database.HashGetAllAsync(BatchKeys.Parts(id)).WaitAsync(ct);
        return (Kind("o|"), Kind("e|"));

        List<Blob> Kind(string prefix) =>
        [
            .. parts.Select(p => (Name: p.Name.ToString(), Value: p.Value.ToString()))
                .Where(p => p.Name.StartsWith(prefix, StringComparison.Ordinal))
                .Select(p => new Blob(p.Name[2..], long.Parse(p.Value.Split('\n')[0], CultureInfo.InvariantCulture))),
        ];
    }

    private async Task<BatchLook?> CommitAsync(
        string id,
        string token,
        BatchCommit commit,
        TimeSpan lease,
        CancellationToken ct)
    {
        if (commit.Lines.Count > 0) redis.RequireDisk();
        var r = (await CommitLua.RunAsync(
            redis.Database,
            [BatchKeys.Batch(id), BatchKeys.Done(id), BatchKeys.Parts(id)],
            [
                token, (long)lease.TotalMilliseconds, commit.Completed, commit.Lines.Count - commit.Completed,
                .. Growth(commit.Output), .. Growth(commit.Errors), .. commit.Lines.Select(l => (RedisValue)l),
            ]).WaitAsync(ct)).Items();
        return r.Length == 0 ? null : new BatchLook(
            r[0].Text(),
            DateTimeOffset.FromUnixTimeMilliseconds((long)r[1]),
            DateTimeOffset.FromUnixTimeMilliseconds((long)r[2]));

        static RedisValue[] Growth(PartGrowth? part) =>
            part is { } p ? [p.Part.Reference, p.From, p.Part.Length] : ["", 0, 0];
    }
}
