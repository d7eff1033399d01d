namespace Sluice.Shared;

/// <summary>
/// The names of all instruments of the gateway process. <c>/metrics</c> exports <c>sluice.request.wait</c>, in seconds,
/// as <c>sluice_request_wait_seconds</c>. A test compares the names with docs/reference/metrics.md.
/// </summary>
public static class MetricNames
{
    public const string Requests = "sluice.requests";
    public const string RequestsLimited = "sluice.requests.limited";
    public const string RequestsInFlight = "sluice.requests.in_flight";
    public const string RequestDuration = "sluice.request.duration";
    public const string RequestWait = "sluice.request.wait";
    public const string RequestRetries = "sluice.request.retries";
    public const string StreamsContinued = "sluice.streams.continued";
    public const string PrefixPlacements = "sluice.prefix.placements";
    public const string Tokens = "sluice.tokens";
    public const string PromptTokens = "sluice.tokens.prompt";
    public const string CachedTokens = "sluice.tokens.cached";
    public const string WastedTokens = "sluice.tokens.wasted";
    public const string JobAttempts = "sluice.job.attempts";
    public const string JobAttemptDuration = "sluice.job.attempt.duration";
    public const string JobStale = "sluice.job.stale";
    public const string JobDeadLetters = "sluice.job.dead_letters";
    public const string WebhookTries = "sluice.webhook.tries";
    public const string TraceExportsFailed = "sluice.trace.exports.failed";
    public const string QueueDepth = "sluice.queue.depth";
    public const string EndpointBlocked = "sluice.endpoint.blocked";
    public const string ApiKeys = "sluice.api_keys";
    public const string Budgets = "sluice.budgets";
    public const string BudgetUsed = "sluice.budget.used";
    public const string BudgetLimit = "sluice.budget.limit";
    public const string UserPods = "sluice.pods";
    public const string UserPodConnections = "sluice.pod_connections";
    public const string Workers = "sluice.workers";
    public const string WorkerExits = "sluice.worker.exits";
    public const string WorkerTimeToday = "sluice.worker_time.today";
    public const string StandbyWorkers = "sluice.standby.workers";
    public const string ColdStartStage = "sluice.cold_start.stage";
    public const string GpuWaiting = "sluice.gpu.waiting";
    public const string ScalingWorkers = "sluice.scaling.workers";
    public const string ScalingTokens = "sluice.scaling.tokens";
    public const string ScalingDecisions = "sluice.scaling.decisions";
    public const string RedisCommands = "sluice.redis.commands";
    public const string RedisMemoryUsed = "sluice.redis.memory.used";
    public const string RedisMemoryLimit = "sluice.redis.memory.limit";
    public const string SchemaVersion = "sluice.schema.version";
    public const string RedisRoundTrips = "sluice.redis.round_trips";

    /// <summary>The families about the scrape of a worker, which the gateway writes as text.</summary>
    public const string WorkerScrapePrefix = "sluice_worker_scrape_";

    public const string WorkerScrapeUp = WorkerScrapePrefix + "up";
    public const string WorkerScrapeLeftOutLines = WorkerScrapePrefix + "left_out_lines";
}
