using System.Diagnostics.Metrics;
using Sluice.Gateway.Tokens;
using Sluice.Shared;

namespace Sluice.Gateway.Observability;

/// <summary>
/// Records the metrics of forwarded requests and jobs, and the counts of charts. A request is recorded once, when it
/// ends.
/// </summary>
/// <param name="series">The counts of charts; null: there are none.</param>
public sealed class GatewayMetrics(SeriesRecorder? series = null)
{
    public const string MeterName = "Sluice.Gateway";

    private static readonly Meter Meter = new(MeterName);

    private readonly Counter<long> requests = Meter.CreateCounter<long>(MetricNames.Requests, "{request}",
        "Requests to endpoints, by outcome and status class of the response to the client.");

    private readonly Counter<long> retries = Meter.CreateCounter<long>(MetricNames.RequestRetries, "{request}",
        "Requests that were retried on another worker because their worker was lost.");

    private readonly Counter<long> continued = Meter.CreateCounter<long>(MetricNames.StreamsContinued, "{stream}",
        "Streams of generated text that another worker completed because their worker was lost.");

    private readonly Counter<long> placed = Meter.CreateCounter<long>(MetricNames.PrefixPlacements, "{request}",
        "Requests whose beginning a worker had read, by whether they got that worker.");

    private readonly Counter<long> tokens = Meter.CreateCounter<long>(MetricNames.Tokens, "{token}",
        "Generated tokens, as reported by the workers.");

    private readonly Counter<long> promptTokens = Meter.CreateCounter<long>(MetricNames.PromptTokens, "{token}",
        "Tokens of prompts, as reported by the workers.");

    private readonly Counter<long> cachedTokens = Meter.CreateCounter<long>(MetricNames.CachedTokens, "{token}",
        "Tokens of prompts that a cache contained, as reported by the workers.");

    private readonly Counter<long> wastedTokens = Meter.CreateCounter<long>(MetricNames.WastedTokens, "{token}",
        "Generated tokens that no client got, because it left or the request failed.");

    private readonly Histogram<double> duration = Meter.CreateHistogram<double>(MetricNames.RequestDuration, "s",
        "Time from the arrival of a request to the last byte of its response.");

    private readonly Histogram<double> wait = Meter.CreateHistogram<double>(MetricNames.RequestWait, "s",
        "Time that requests waited for a slot, including cold start. Requests that did not wait are not recorded.");

    private readonly Counter<long> attempts = Meter.CreateCounter<long>(MetricNames.JobAttempts, "{attempt}",
        "Job attempts that this gateway ran, by outcome.");

    private readonly Histogram<double> attemptDuration = Meter.CreateHistogram<double>(
        MetricNames.JobAttemptDuration, "s", "Duration of job attempts.");

    private readonly Counter<long> stale = Meter.CreateCounter<long>(MetricNames.JobStale, "{attempt}",
        "Attempt results that the fence rejected, because the job had a later attempt or had already ended.");

    private readonly Counter<long> webhooks = Meter.CreateCounter<long>(MetricNames.WebhookTries, "{try}",
        "Webhook delivery attempts, by outcome.");

    private readonly Counter<long> limited = Meter.CreateCounter<long>(MetricNames.RequestsLimited, "{request}",
        "Requests that were rejected by a limit of their key, by limit.");

    /// <summary>Records that a request or a job has arrived.</summary>
    public void Arrived(string endpoint) => series?.Arrived(endpoint);

    /// <summary>Records an attempt of a job.</summary>
    /// <param name="endpoint">The endpoint ID.</param>
    /// <param name="outcome">The outcome of the attempt, in lower case.</param>
    /// <param name="times">Where its time went, since the job was last queued.</param>
    /// <param name="isError">Whether it failed.</param>
    public void Attempted(string endpoint, string outcome, RequestTimes times, bool isError)
    {
        series?.Ended(endpoint, times, isError);
        var tag = KeyValuePair.Create("endpoint", (object?)endpoint);
        attempts.Add(1, tag, KeyValuePair.Create("end", (object?)outcome));
        attemptDuration.Record(times.Run!.Value.TotalSeconds, tag);
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

    /// <summary>Records a stream that another worker completed.</summary>
    public void Continued(string endpoint) => continued.Add(1, KeyValuePair.Create("endpoint", (object?)endpoint));

    /// <summary>Records a request that preferred a worker, and whether it got that worker.</summary>
    public void Placed(string endpoint, bool isPreferred) => placed.Add(1,
        KeyValuePair.Create("endpoint", (object?)endpoint),
        KeyValuePair.Create("worker", (object?)(isPreferred ? "preferred" : "other")));

    /// <summary>Records a forwarded request.</summary>
    /// <param name="endpoint">The endpoint ID.</param>
    /// <param name="outcome">The label of its outcome.</param>
    /// <param name="status">The status sent to the client; null if the client closed the connection.</param>
    /// <param name="times">Where its time went.</param>
    /// <param name="isError">Whether it failed.</param>
    public void Forwarded(
        string endpoint, string outcome, int? status, RequestTimes times, bool isError)
    {
        series?.Ended(endpoint, times, isError);
        var tag = KeyValuePair.Create("endpoint", (object?)endpoint);
        requests.Add(1,
            tag,
            KeyValuePair.Create("outcome", (object?)outcome),
            KeyValuePair.Create("status", (object?)StatusClass(status)));
        duration.Record(times.Total.TotalSeconds, tag);
        var waited = times.Queued + times.Cold;
        if (waited > TimeSpan.Zero) wait.Record(waited.TotalSeconds, tag);
    }

    /// <summary>Records the tokens of a request or of an attempt of a job.</summary>
    /// <param name="endpoint">The endpoint ID.</param>
    /// <param name="usage">The tokens.</param>
    /// <param name="wasted">Generated tokens that no client got.</param>
    public void TokensUsed(string endpoint, TokenUsage usage, long wasted)
    {
        var tag = KeyValuePair.Create("endpoint", (object?)endpoint);
        if (usage.Generated > 0)
        {
            tokens.Add(usage.Generated, tag);
            series?.Generated(endpoint, usage.Generated);
        }

        if (usage.Prompt > 0) promptTokens.Add(usage.Prompt, tag);
        if (usage.Cached > 0) cachedTokens.Add(usage.Cached, tag);
        if (wasted > 0) wastedTokens.Add(wasted, tag);
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
}
