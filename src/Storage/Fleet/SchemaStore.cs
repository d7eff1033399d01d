using Sluice.Domain.Schema;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Fleet;

/// <summary>
/// Stores the version of the data in Redis, and the versions that each gateway with a lease supports. A gateway
/// announces its versions with its lease (<see cref="RenewAsync"/>), and the leader changes the version.
/// </summary>
public sealed class SchemaStore(RedisStore redis)
{
    private static readonly Script Beat = Script.Load("host-beat");
    private static readonly Script Change = Script.Load("schema-change");

    private static readonly RedisKey[] Keys = ["sluice:{hosts}:expiry", "sluice:{hosts}:versions", "sluice:schema"];
    private static readonly RedisKey Epoch = "sluice:{leader}:epoch";

    /// <summary>
    /// Announces a gateway that starts, with a lease of its host, and reads the version. An empty Redis gets the newest
    /// version of this build.
    /// </summary>
    /// <param name="hostId">The host of the gateway.</param>
    /// <param name="lease">The lease, which must last until the gateway renews it.</param>
    /// <param name="ct">Cancels the call.</param>
    /// <exception cref="InvalidOperationException">The gateway does not support the version.</exception>
    public async Task JoinAsync(string hostId, TimeSpan lease, CancellationToken ct)
    {
        var seen = await RunAsync(hostId, lease, "", ct);
        if (!redis.Schema.Supported.Supports(seen.Schema))
            throw new InvalidOperationException(ActiveSchema.Describe(seen.Schema, redis.Schema.Supported));
    }

    /// <summary>
    /// Renews the lease of a gateway's host and its announcement, and updates <see cref="RedisStore.Schema"/>. A
    /// version that Redis has lost is stored again.
    /// </summary>
    /// <param name="hostId">The host of the gateway.</param>
    /// <param name="lease">Duration of the lease; zero: it ends.</param>
    /// <param name="ct">Cancels the call.</param>
    /// <returns>The hosts with a lease.</returns>
    public async Task<IReadOnlySet<string>> RenewAsync(string hostId, TimeSpan lease, CancellationToken ct)
    {
        var seen = await RunAsync(hostId, lease, redis.Schema.View.Schema.ToString(), ct);
        return seen.Gateways.Select(g => g.HostId).ToHashSet();
    }

    /// <summary>
    /// Changes the version. Returns false if a later leader exists, if the version is not that of the step, or if a
    /// gateway with a lease does not support it.
    /// </summary>
    /// <param name="step">The change.</param>
    /// <param name="epoch">The leader's epoch.</param>
    /// <param name="ct">Cancels the call.</param>
    public async Task<bool> ChangeAsync(SchemaStep step, long epoch, CancellationToken ct)
    {
        var reply = await Change.RunAsync(redis.Database, [.. Keys, Epoch],
            [epoch, step.From.ToString(), step.To.ToString()]).WaitAsync(ct);
        return reply.Text() == "ok";
    }

    private async Task<SchemaView> RunAsync(string hostId, TimeSpan lease, string known, CancellationToken ct)
    {
        var own = redis.Schema.Supported;
        var reply = (await Beat.RunAsync(redis.Database, Keys,
            [hostId, (long)lease.TotalMilliseconds, $"{own.Oldest}|{own.Newest}", known]).WaitAsync(ct)).Items();
        var text = reply[0].Text();
        var schema = SchemaNumber.Parse(text) ?? throw new InvalidOperationException(
            $"The schema of the data in Redis (sluice:schema) is '{text}'; expected a number such as "
            + $"{SchemaVersions.Newest}. Restore a backup, or use an empty database.");
        var seen = new SchemaView(schema, [.. reply[1].Texts().Chunk(2)
            .Select(g => new GatewaySchema(g[0], SchemaRange.Parse(g[1])))]);
        redis.Schema.Update(seen);
        return seen;
    }
}
