using System.Diagnostics.Metrics;
using Sluice.Core.Dispatch;
using Sluice.Core.Endpoints;
using Sluice.Core.Jobs;
using Sluice.Core.Redis;
using Sluice.Core.Workers;
using Sluice.Gateway.Auth;

namespace Sluice.Gateway.Operations;

/// <summary>
/// What is true of all gateways together: queues, blocked endpoints, dead letters, keys. Read from Redis at a scrape, for declared endpoints only, and
/// reported by the leading gateway only: a sum over all gateways counts each thing once.
/// </summary>
public sealed class FleetGauges
{
    /// <summary>A scrape waits for Redis for this long; after that it has none of these.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private static readonly Meter Meter = new(GatewayMetrics.MeterName);

    private readonly RedisStore redis;
    private readonly WorkerSlotStore slots;
    private readonly CatalogWatcher catalog;
    private readonly Leadership leadership;
    private readonly KeyRing keys;
    private readonly TimeProvider time;
    private volatile IReadOnlyList<Seen> seen = [];

    /// <param name="redis">Where the numbers come from.</param>
    /// <param name="slots">Which endpoints are blocked.</param>
    /// <param name="catalog">Which endpoints there are.</param>
    /// <param name="leadership">Whether this gateway reports.</param>
    /// <param name="keys">The valid keys.</param>
    /// <param name="time">The clock of key expiry.</param>
    public FleetGauges(RedisStore redis, WorkerSlotStore slots, CatalogWatcher catalog, Leadership leadership, KeyRing keys, TimeProvider time)
    {
        this.redis = redis;
        this.slots = slots;
        this.catalog = catalog;
        this.leadership = leadership;
        this.keys = keys;
        this.time = time;
        Meter.CreateObservableGauge("sluice.queue.depth", () => Measure(s => s.Queued), "{request}",
            "Requests and jobs of an endpoint that wait for a slot (at the gateway that leads).");
        Meter.CreateObservableGauge("sluice.endpoint.blocked", () => Measure(s => s.Blocked), "{endpoint}",
            "1: no worker of the endpoint is up and none can start, so that requests get 503 (at the gateway that leads).");
        Meter.CreateObservableGauge("sluice.job.dead_letters", () => Measure(s => s.Dead), "{job}",
            "Jobs of an endpoint that are dead letters (at the gateway that leads).");
        Meter.CreateObservableGauge("sluice.api_keys", MeasureKeys, "{key}", "API keys that are valid, by scope (at the gateway that leads).");
    }

    /// <summary>Reads the numbers; never throws for what Redis does.</summary>
    public async Task RefreshAsync(CancellationToken ct)
    {
        var read = new List<Seen>();
        if (leadership.IsLeader)
        {
            try
            {
                // All at the same time: one round trip, however many endpoints there are.
                read.AddRange(await Task.WhenAll(catalog.Current.Deployments.Select(d => ReadAsync(d.Endpoint.Id, ct))).WaitAsync(Patience, time, ct));
            }
            catch (Exception e) when (RedisFaults.Of(e) != RedisFault.None)
            {
                read.Clear();
            }
        }

        seen = read;
    }

    private async Task<Seen> ReadAsync(string endpoint, CancellationToken ct)
    {
        var k = new JobKeys(endpoint);
        var queued = redis.Database.SortedSetLengthAsync(k.Dispatch.Queue);
        var dead = redis.Database.SortedSetLengthAsync(k.Dead);
        var blocked = slots.WhyBlockedAsync(endpoint, ct);
        return new Seen(endpoint, await queued, await dead, await blocked is null ? 0 : 1);
    }

    private IEnumerable<Measurement<long>> Measure(Func<Seen, long> value) =>
        seen.Select(s => new Measurement<long>(value(s), KeyValuePair.Create("endpoint", (object?)s.Endpoint)));

    private IEnumerable<Measurement<long>> MeasureKeys() => !leadership.IsLeader ? []
        : keys.CountByScope(time.GetUtcNow()).Select(c => new Measurement<long>(c.Count, KeyValuePair.Create("scope", (object?)c.Scope)));

    private sealed record Seen(string Endpoint, long Queued, long Dead, long Blocked);
}
