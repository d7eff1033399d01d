using System.Diagnostics.Metrics;
using Sluice.Domain.UserPods;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Observability;
using Sluice.Gateway.Usage;
using Sluice.Shared;
using Sluice.Storage.Catalog;
using Sluice.Storage.Fleet;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;
using Sluice.Storage.UserPods;

namespace Sluice.Gateway.Management;

/// <summary>
/// Reports the gauges that are common to all gateways: queues, blocked endpoints, dead letters, keys, budgets and the
/// memory of Redis. The values of endpoints are read from Redis at each scrape, for declared endpoints only. Only the
/// leader reports them, so that a sum over all gateways counts each item once.
/// </summary>
public sealed class FleetGauges
{
    /// <summary>The time that a scrape waits for Redis. After that, the scrape omits these gauges.</summary>
    private static readonly TimeSpan ReadTimeout = TimeSpan.FromSeconds(1);

    private static readonly Meter Meter = new(GatewayMetrics.MeterName);

    private readonly RedisStore redis;
    private readonly WorkerSlotStore slots;
    private readonly CatalogWatcher catalog;
    private readonly LeaderElection leadership;
    private readonly ApiKeyCache keys;
    private readonly UserPodCatalog pods;
    private readonly BudgetWatch budgets;
    private readonly RedisMemoryPressure memory;
    private readonly TimeProvider time;
    private volatile IReadOnlyList<EndpointValues> values = [];

    /// <summary>Registers the gauges.</summary>
    /// <param name="redis">The source of the values.</param>
    /// <param name="slots">Reports which endpoints are blocked.</param>
    /// <param name="catalog">The declared endpoints.</param>
    /// <param name="leadership">Decides whether this gateway reports the gauges.</param>
    /// <param name="keys">The API keys.</param>
    /// <param name="pods">The pods of users.</param>
    /// <param name="budgets">The budgets.</param>
    /// <param name="memory">The memory of Redis.</param>
    /// <param name="time">The clock for key expiry and timeouts.</param>
    public FleetGauges(
        RedisStore redis,
        WorkerSlotStore slots,
        CatalogWatcher catalog,
        LeaderElection leadership,
        ApiKeyCache keys,
        UserPodCatalog pods,
        BudgetWatch budgets,
        RedisMemoryPressure memory,
        TimeProvider time)
    {
        this.redis = redis;
        this.slots = slots;
        this.catalog = catalog;
        this.leadership = leadership;
        this.keys = keys;
        this.pods = pods;
        this.budgets = budgets;
        this.memory = memory;
        this.time = time;
        Meter.CreateObservableGauge(MetricNames.QueueDepth, () => Measure(s => s.Queued), "{request}",
            "Requests and jobs of an endpoint that wait for a slot (reported by the leader).");
        Meter.CreateObservableGauge(MetricNames.EndpointBlocked, () => Measure(s => s.Blocked), "{endpoint}",
            "1 if requests get 503: workers fail to start, no GPU fits, or the endpoint is paused, switched off or "
            + "over its daily limit (reported by the leader).");
        Meter.CreateObservableGauge(MetricNames.JobDeadLetters, () => Measure(s => s.Dead), "{job}",
            "Jobs of an endpoint that are dead letters (reported by the leader).");
        Meter.CreateObservableGauge(MetricNames.ApiKeys, MeasureKeys, "{key}",
            "API keys, by scope and state (reported by the leader).");
        Meter.CreateObservableGauge(MetricNames.UserPods, MeasurePods, "{pod}",
            "Pods of users, by status (reported by the leader).");
        Meter.CreateObservableGauge(MetricNames.Budgets, MeasureBudgets, "{budget}",
            "Budgets, by scope and state (reported by the leader).");
        Meter.CreateObservableGauge(MetricNames.BudgetUsed, () => MeasureUse(u => u.State.Used), "{amount}",
            "What is used and reserved of a budget in its window, in its unit (reported by the leader).");
        Meter.CreateObservableGauge(MetricNames.BudgetLimit, () => MeasureUse(u => u.Budget.Limit), "{amount}",
            "The limit of a budget, in its unit (reported by the leader).");
        Meter.CreateObservableGauge(MetricNames.RedisMemoryUsed, () => MeasureMemory(m => m.Used), "By",
            "Memory that Redis uses (reported by the leader).");
        Meter.CreateObservableGauge(MetricNames.RedisMemoryLimit, () => MeasureMemory(m => m.Limit), "By",
            "The maxmemory of Redis; 0: it has none (reported by the leader).");
    }

    /// <summary>Reads the values from Redis. Redis errors do not throw; the gauges are then omitted.</summary>
    public async Task RefreshAsync(CancellationToken ct)
    {
        var read = new List<EndpointValues>();
        if (leadership.IsLeader)
        {
            try
            {
                // All reads run concurrently: one round trip for any number of endpoints.
                var reads = catalog.Current.Deployments.Select(d => ReadAsync(d.Endpoint.Id, ct));
                read.AddRange(await Task.WhenAll(reads).WaitAsync(ReadTimeout, time, ct));
            }
            catch (Exception e) when (RedisFaults.Classify(e) != RedisFault.None)
            {
                read.Clear();
            }
        }

        values = read;
    }

    private async Task<EndpointValues> ReadAsync(string endpoint, CancellationToken ct)
    {
        var k = new JobKeys(endpoint);
        var queued = redis.Database.SortedSetLengthAsync(k.Dispatch.Queue);
        var dead = redis.Database.SortedSetLengthAsync(k.Dead);
        var blocked = slots.WhyBlockedAsync(endpoint, ct);
        return new EndpointValues(endpoint, await queued, await dead, await blocked is null ? 0 : 1);
    }

    private IEnumerable<Measurement<long>> Measure(Func<EndpointValues, long> value) =>
        values.Select(s => new Measurement<long>(value(s), KeyValuePair.Create("endpoint", (object?)s.Endpoint)));

    private IEnumerable<Measurement<long>> MeasurePods() => !leadership.IsLeader
        ? []
        : pods.All.Where(p => p.Pod.Goal != UserPodGoal.Terminated)
            .CountBy(p => UserPodActions.StatusOf(p.Pod, p.State))
            .Select(c => new Measurement<long>(
                c.Value, KeyValuePair.Create("status", (object?)c.Key.ToString().ToUpperInvariant())));

    private IEnumerable<Measurement<long>> MeasureKeys() => !leadership.IsLeader
        ? []
        : keys.CountByScope(time.GetUtcNow())
            .Select(c => new Measurement<long>(c.Count, KeyValuePair.Create("scope", (object?)c.Scope),
                KeyValuePair.Create("state", (object?)c.State)));

    private IEnumerable<Measurement<long>> MeasureBudgets() => !leadership.IsLeader
        ? []
        : BudgetUse.Count(budgets.Latest)
            .Select(c => new Measurement<long>(c.Count, KeyValuePair.Create("scope", (object?)c.Scope),
                KeyValuePair.Create("state", (object?)c.State)));

    private IEnumerable<Measurement<double>> MeasureUse(Func<BudgetUse, double> value) => !leadership.IsLeader
        ? []
        : BudgetUse.FindLargest(budgets.Latest).Select(u => new Measurement<double>(value(u), u.Labels()));

    private IEnumerable<Measurement<long>> MeasureMemory(Func<RedisMemory, long> value) =>
        leadership.IsLeader && memory.Memory is { } known ? [new Measurement<long>(value(known))] : [];

    private sealed record EndpointValues(string Endpoint, long Queued, long Dead, long Blocked);
}
