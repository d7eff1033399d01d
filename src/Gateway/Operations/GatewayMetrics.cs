using System.Diagnostics;
using System.Diagnostics.Metrics;
using Sluice.Gateway.Forwarding;
using Sluice.Gateway.Jobs;

namespace Sluice.Gateway.Operations;

/// <summary>Records the metrics of forwarded requests and jobs. A request is recorded once, when it ends.</summary>
public sealed class GatewayMetrics
{
    public const string MeterName = "Sluice.Gateway";

    private static readonly Meter Meter = new(MeterName);

    private readonly Counter<long> requests = Meter.CreateCounter<long>("sluice.requests", "{request}",
        "Requests to endpoints, by outcome and status class of the response to the client.");

    private readonly Counter<long> retries = Meter.CreateCounter<long>("sluice.request.retries", "{request}",
        "Requests that were retried on another worker because their worker was lost.");

    private readonly Counter<long> tokens = Meter.CreateCounter<long>("sluice.tokens", "{token}",
        "Generated tokens, as reported by the workers.");

    private readonly Histogram<double> duration = Meter.CreateHistogram<double>("sluice.request.duration", "s",
        "Time from the arrival of a request to the last byte of its response.");

    private readonly Histogram<double> wait = Meter.CreateHistogram<double>("sluice.request.wait", "s",
        "Time that requests waited for a slot, including cold start. Requests that did not wait are not recorded.");

    private readonly Counter<long> attempts = Meter.CreateCounter<long>("sluice.job.attempts", "{attempt}",
        "Job attempts that this gateway ran, by outcome.");

    private readonly Histogram<double> attemptDuration = Meter.CreateHistogram<double>(
        "sluice.job.attempt.duration", "s", "Duration of job attempts.");

    private readonly Counter<long> stale = Meter.CreateCounter<long>("sluice.job.stale", "{attempt}",
        "Attempt results that the fence rejected, because the job had a later attempt or had already ended.");

    private readonly Counter<long> webhooks = Meter.CreateCounter<long>("sluice.webhook.tries", "{try}",
        "Webhook delivery attempts, by outcome.");

    private readonly Counter<long> limited = Meter.CreateCounter<long>("sluice.requests.limited", "{request}",
        "Requests that were rejected by a limit of their key, by limit.");

    /// <summary>Records an attempt of a job.</summary>
    /// <param name="endpoint">The endpoint ID.</param>
    /// <param name="kind">The outcome of the attempt.</param>
    /// <param name="took">The duration of the attempt.</param>
    public void Attempted(string endpoint, AttemptKind kind, TimeSpan took)
    {
        var tag = KeyValuePair.Create("endpoint", (object?)endpoint);
        attempts.Add(1, tag, KeyValuePair.Create("end", (object?)kind.ToString().ToLowerInvariant()));
        attemptDuration.Record(took.TotalSeconds, tag);
    }

    /// <summary>Records an attempt result that the fence rejected.</summary>
    public void Stale(string endpoint) => stale.Add(1, KeyValuePair.Create("endpoint", (object?)endpoint));

    /// <summary>Records a webhook delivery attempt.</summary>
    /// <param name="endpoint">The endpoint ID.</param>
    /// <param name="end">The outcome of the delivery attempt.</param>
    public void Delivered(string endpoint, string end) => webhooks.Add(1,
        KeyValuePair.Create("endpoint", (object?)endpoint),
        KeyValuePair.Create("end", (object?)end));

    /// <summary>Records a request that a limit rejected.</summary>
    public void Limited(string limit) => limited.Add(1, KeyValuePair.Create("limit", (object?)limit));

    /// <summary>Records a retry of a request on another worker.</summary>
    public void Retried(string endpoint) => retries.Add(1, KeyValuePair.Create("endpoint", (object?)endpoint));

    /// <summary>Records a forwarded request.</summary>
    /// <param name="state">The request.</param>
    /// <param name="outcome">Its outcome.</param>
    /// <param name="status">The status sent to the client; null if the client closed the connection.</param>
    public void Forwarded(ForwardState state, ForwardOutcome outcome, int? status)
    {
        var endpoint = KeyValuePair.Create("endpoint", (object?)state.Endpoint.Id);
        requests.Add(1,
            endpoint,
            KeyValuePair.Create("outcome", (object?)Name(outcome)),
            KeyValuePair.Create("status", (object?)StatusClass(status)));
        duration.Record(Stopwatch.GetElapsedTime(state.Arrived).TotalSeconds, endpoint);
        if (state.Waited > TimeSpan.Zero) wait.Record(state.Waited.TotalSeconds, endpoint);
        if (state.Tokens > 0) tokens.Add(state.Tokens, endpoint);
    }

    private static string StatusClass(int? status) => (status / 100) switch
    {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => "none",
    };

    private static string Name(ForwardOutcome outcome) => outcome switch
    {
        ForwardOutcome.Answered => "answered",
        ForwardOutcome.ClientGone => "client_gone",
        ForwardOutcome.QueueFull => "queue_full",
        ForwardOutcome.QueueTimeout => "queue_timeout",
        ForwardOutcome.CannotStart => "cannot_start",
        ForwardOutcome.StoreUnreachable => "store_unreachable",
        ForwardOutcome.BodyTooLarge => "body_too_large",
        ForwardOutcome.BodyBroken => "body_broken",
        ForwardOutcome.NotForwardable => "not_forwardable",
        ForwardOutcome.WorkerLost => "worker_lost",
        ForwardOutcome.WorkerAnswerInvalid => "worker_answer_invalid",
        ForwardOutcome.WorkerTimeout => "worker_timeout",
        ForwardOutcome.CutShort => "cut_short",
        _ => throw new ArgumentOutOfRangeException(nameof(outcome), outcome, null),
    };
}
