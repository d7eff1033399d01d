using System.Diagnostics;
using System.Diagnostics.Metrics;
using Sluice.Gateway.Forwarding;

namespace Sluice.Gateway.Operations;

/// <summary>What the gateway counts of forwarded requests; recorded where a request ends, not in between.</summary>
public sealed class GatewayMetrics
{
    public const string MeterName = "Sluice.Gateway";

    private static readonly Meter Meter = new(MeterName);

    private readonly Counter<long> requests = Meter.CreateCounter<long>("sluice.requests", "{request}",
        "Requests to endpoints, by outcome.");

    private readonly Counter<long> retries = Meter.CreateCounter<long>("sluice.request.retries", "{request}",
        "Requests sent to another worker because the first was lost.");

    private readonly Counter<long> tokens = Meter.CreateCounter<long>("sluice.tokens", "{token}",
        "Tokens generated, as the workers report them.");

    private readonly Histogram<double> duration = Meter.CreateHistogram<double>("sluice.request.duration", "s",
        "From a request's arrival to its answer's last byte.");

    private readonly Histogram<double> wait = Meter.CreateHistogram<double>("sluice.request.wait", "s",
        "Time that requests which had to wait spent without a slot, cold start included.");

    public void Retried(string endpoint) => retries.Add(1, KeyValuePair.Create("endpoint", (object?)endpoint));

    public void Forwarded(ForwardState state, ForwardOutcome outcome)
    {
        var endpoint = KeyValuePair.Create("endpoint", (object?)state.Endpoint.Id);
        requests.Add(1, endpoint, KeyValuePair.Create("outcome", (object?)Name(outcome)));
        duration.Record(Stopwatch.GetElapsedTime(state.Arrived).TotalSeconds, endpoint);
        if (state.Waited > TimeSpan.Zero) wait.Record(state.Waited.TotalSeconds, endpoint);
        if (state.Tokens > 0) tokens.Add(state.Tokens, endpoint);
    }

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
