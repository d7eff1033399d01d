using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Sluice.Domain.Schema;
using Sluice.Shared;
using Sluice.Storage.Background;
using Sluice.Storage.Fleet;
using Sluice.Storage.Redis;

namespace Sluice.ControlPlane.Leadership;

/// <summary>
/// Raises the version of the data in Redis, on the leader: when all gateways with a lease support the next version, it
/// refuses the start of others, migrates the data, and makes the version active. <see cref="SchemaPlan"/> decides, and
/// this class waits and writes.
/// </summary>
internal sealed partial class SchemaUpgrade : BackgroundLoop
{
    /// <summary>
    /// After a longer time without a renewal, Redis or this gateway was not reachable. Other gateways could not renew
    /// their leases either, so a wait starts again.
    /// </summary>
    private static readonly TimeSpan LongestGap = TimeSpan.FromSeconds(5);

    private readonly RedisStore redis;
    private readonly SchemaStore store;
    private readonly LeaderElection leadership;
    private readonly SchemaMigrations migrations;
    private readonly TimeProvider time;
    private readonly ILogger<SchemaUpgrade> logger;
    private readonly Channel<SchemaStep> due = Channel.CreateBounded<SchemaStep>(1);

    private SchemaStep? pending;
    private long since;
    private long last;
    private string reported = "";

    /// <summary>Registers the metric of the version.</summary>
    public SchemaUpgrade(
        RedisStore redis,
        SchemaStore store,
        LeaderElection leadership,
        SchemaMigrations migrations,
        TimeProvider time,
        ILogger<SchemaUpgrade> logger)
        : base(time, logger)
    {
        this.redis = redis;
        this.store = store;
        this.leadership = leadership;
        this.migrations = migrations;
        this.time = time;
        this.logger = logger;
        SluiceMeter.Meter.CreateObservableGauge(MetricNames.SchemaVersion, () => redis.Schema.View.Schema.Active,
            "{version}", "Active version of the data in Redis, as this gateway read it last.");
    }

    /// <summary>
    /// Looks at what the last renewal of the lease read. Called after each renewal, about once a second; it sends
    /// nothing to Redis.
    /// </summary>
    public void Observe()
    {
        var schema = redis.Schema;
        var step = leadership.IsLeader ? SchemaPlan.Decide(schema.View, schema.Supported.Newest) : null;
        if (leadership.IsLeader) ReportEarlier(schema.View);
        var now = time.GetTimestamp();
        if (step != pending || time.GetElapsedTime(last, now) > LongestGap) since = now;
        pending = step;
        last = now;
        // The loop may still run the same step. Its repetition changes nothing.
        if (step is not null && time.GetElapsedTime(since, now) >= schema.Waits.Before(step.Kind))
            due.Writer.TryWrite(step);
    }

    protected override async Task RunAsync(CancellationToken ct)
    {
        await foreach (var step in due.Reader.ReadAllAsync(ct))
            await Failures.WatchAsync("Raising the schema", TakeAsync(step, ct));
    }

    /// <summary>Takes a step. A failed one is repeated after the next renewal.</summary>
    private async Task TakeAsync(SchemaStep step, CancellationToken ct)
    {
        var epoch = leadership.Epoch;
        if (epoch == 0 || step.From != redis.Schema.View.Schema) return;
        if (step.Kind == SchemaStepKind.Activate) await migrations.RunAsync(step.To.Active, ct);
        if (!await store.ChangeAsync(step, epoch, ct)) return;
        redis.Schema.Update(new SchemaView(step.To, redis.Schema.View.Gateways));
        if (step.Kind == SchemaStepKind.Prepare) SchemaRaiseStarted(step.From.Active, step.To.Required);
        else if (step.Kind == SchemaStepKind.Activate) SchemaVersionRaised(step.From.Active, step.To.Active);
        else SchemaRaiseWithdrawn(step.From.Required, Names(redis.Schema.View.Below(step.From.Required)));
    }

    /// <summary>Logs gateways that do not support the active version, when their list changes.</summary>
    private void ReportEarlier(SchemaView seen)
    {
        var names = Names(seen.Below(seen.Schema.Active));
        if (names == reported) return;
        reported = names;
        if (names.Length > 0) EarlierGatewayRuns(names, seen.Schema.Active);
    }

    private static string Names(IEnumerable<GatewaySchema> gateways) =>
        string.Join(", ", gateways.Select(g => g.HostId));

    [LoggerMessage(LogLevel.Information,
        "Schema {From} will be raised to {To}: all gateways support it, and earlier builds no longer start")]
    private partial void SchemaRaiseStarted(int from, int to);

    [LoggerMessage(LogLevel.Information, "Schema raised from {From} to {To}")]
    private partial void SchemaVersionRaised(int from, int to);

    [LoggerMessage(LogLevel.Warning, "Schema {To} is not active yet: gateways {Gateways} do not support it")]
    private partial void SchemaRaiseWithdrawn(int to, string gateways);

    [LoggerMessage(LogLevel.Error,
        "Gateways {Gateways} run an earlier build that does not support the active schema {Active}; stop them")]
    private partial void EarlierGatewayRuns(string gateways, int active);
}
