namespace Sluice.Gateway.Overview;

/// <summary>The state of the whole product. Rates and durations are those of the last 30 s.</summary>
/// <param name="At">When it was read.</param>
/// <param name="Version">The version of this gateway.</param>
/// <param name="Gateways">The gateways that are connected to Redis.</param>
/// <param name="Workers">The number of workers by state.</param>
/// <param name="Gpus">The GPUs of the inventory, and those that workers have.</param>
/// <param name="Queued">Requests and jobs that wait for a slot.</param>
/// <param name="Running">Requests and jobs that have a slot.</param>
/// <param name="RequestsPerSecond">Requests and attempts of jobs that ended.</param>
/// <param name="ErrorsPerSecond">Those that failed.</param>
/// <param name="TokensPerSecond">Generated tokens.</param>
/// <param name="P50Ms">The median duration; null: nothing ended.</param>
/// <param name="P95Ms">The 95th percentile of durations.</param>
/// <param name="CostPerHour">
/// What an hour of all workers that have not failed costs with the prices in force; null: there are no prices.
/// </param>
/// <param name="Currency">The currency of the prices; empty: there are none.</param>
/// <param name="UnpricedWorkers">Those workers whose type has no price: the cost does not contain them.</param>
/// <param name="Pods">The pods of users that hold resources.</param>
/// <param name="Endpoints">The endpoints, by id.</param>
public sealed record OverviewView(
    DateTimeOffset At,
    string Version,
    long Gateways,
    IReadOnlyDictionary<string, int> Workers,
    OverviewGpus Gpus,
    long Queued,
    long Running,
    double RequestsPerSecond,
    double ErrorsPerSecond,
    double TokensPerSecond,
    double? P50Ms,
    double? P95Ms,
    double? CostPerHour,
    string Currency,
    int UnpricedWorkers,
    OverviewPods Pods,
    IReadOnlyList<OverviewEndpoint> Endpoints);

/// <summary>GPUs: all of the inventory, and those that a worker has, whole or in part.</summary>
public sealed record OverviewGpus(int Total, int Used);

/// <summary>The pods of users. They are not part of the cost of workers.</summary>
/// <param name="Running">Those that run or hold devices.</param>
/// <param name="CostPerHour">What an hour of them costs; null: there are no prices.</param>
/// <param name="Unpriced">Those whose type has no price: the cost does not contain them.</param>
public sealed record OverviewPods(int Running, double? CostPerHour, int Unpriced);

/// <summary>An endpoint. <paramref name="Blocked"/> is why its requests are rejected; null: they are not.</summary>
public sealed record OverviewEndpoint(
    string Id,
    string Template,
    bool Public,
    IReadOnlyDictionary<string, int> Workers,
    long Queued,
    long Running,
    double RequestsPerSecond,
    double ErrorsPerSecond,
    double? P95Ms,
    double? CostPerHour,
    string? Blocked);
