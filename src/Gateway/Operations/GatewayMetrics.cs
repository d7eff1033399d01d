using System.Diagnostics;
using System.Diagnostics.Metrics;
using Sluice.Gateway.Forwarding;
using Sluice.Gateway.Jobs;

namespace Sluice.Gateway.Operations;

/// <summary>What the gateway counts of forwarded requests; recorded where a request ends, not in between.</summary>
public sealed class GatewayMetrics
{
    public const string MeterName = "Sluice.Gateway";

    private static readonly Meter Meter = new(MeterName);

    private readonly Counter<long> requests = Meter.CreateCounter<long>("sluice.requests", "{request}",
        "Requests to endpoints, by outcome and class of the status that the client got.");

    private readonly Counter<long> retries = Meter.CreateCounter<long>("sluice.request.retries", "{request}",
        "Requests sent to another worker because the first was lost.");

    private readonly Counter<long> tokens = Meter.CreateCounter<long>("sluice.tokens", "{token}",
        "Tokens generated, as the workers report them.");

    private readonly Histogram<double> duration = Meter.CreateHistogram<double>("sluice.request.duration", "s",
        "From a request's arrival to its answer's last byte.");

    private readonly Histogram<double> wait = Meter.CreateHistogram<double>("sluice.request.wait", "s",
        "Time that requests which had to wait spent without a slot, cold start included.");

    private readonly Counter<long> attempts = Meter.CreateCounter<long>("sluice.job.attempts", "{attempt}",
        "Attempts of jobs that this gateway ran, by how they ended.");

    private readonly Histogram<double> attemptDuration = Meter.CreateHistogram<double>("sluice.job.attempt.duration", "s",
        "How long attempts of jobs ran.");

    private readonly Counter<long> stale = Meter.CreateCounter<long>("sluice.job.stale", "{attempt}",
        "Results of attempts that the fence refused: the job had another attempt, or had ended.");

    private readonly Counter<long> webhooks = Meter.CreateCounter<long>("sluice.webhook.tries", "{try}",
        "Tries to deliver webhooks, by how they went.");

    private readonly Counter<long> limited = Meter.CreateCounter<long>("sluice.requests.limited", "{request}",
        "Requests that a key's limits refused, by limit.");

    public void Attempted(string endpoint, AttemptKind kind, TimeSpan took)
    {
        var tag = KeyValuePair.Create("endpoint", (object?)endpoint);
        attempts.Add(1, tag, KeyValuePair.Create("end", (object?)kind.ToString().ToLowerInvariant()));
        attemptDuration.Record(took.TotalSeconds, tag);
    }

    public void Stale(string endpoint) => stale.Add(1, KeyValuePair.Create("endpoint", (object?)endpoint));

    public void Delivered(string endpoint, string how) =>
        webhooks.Add(1, KeyValuePair.Create("endpoint", (object?)endpoint), KeyValuePair.Create("end", (object?)how));

    public void Limited(string why) => limited.Add(1, KeyValuePair.Create("limit", (object?)why));

    public void Retried(string endpoint) => retries.Add(1, KeyValuePair.Create("endpoint", (object?)endpoint));

    /// <param name="state">The request.</param>
    /// <param name="outcome">How it ended.</param>
    /// <param name="status">The status that the client got; null: the client is gone.</param>
    public void Forwarded(ForwardState state, ForwardOutcome outcome, int? status)
    {
        var endpoint = KeyValuePair.Create("endpoint", (object?)state.Endpoint.Id);
        requests.Add(1, endpoint, KeyValuePair.Create("outcome", (object?)Name(outcome)), KeyValuePair.Create("status", (object?)StatusClass(status)));
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
