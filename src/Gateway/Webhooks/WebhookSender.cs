using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Sluice.Domain.Jobs;
using Sluice.Domain.Webhooks;
using Sluice.Gateway.Http;
using Sluice.Gateway.Jobs;
using Sluice.Gateway.Observability;
using Sluice.Gateway.Tracing;
using Sluice.Gateway.Usage;
using Sluice.Shared;
using Sluice.Storage.Background;
using Sluice.Storage.Catalog;
using Sluice.Storage.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;
using Sluice.Storage.Usage;

namespace Sluice.Gateway.Webhooks;

/// <summary>
/// Delivers webhooks: reads the due deliveries from the outboxes of the endpoints once per second. The number of
/// concurrent deliveries per endpoint is limited, so that unreachable receivers of one endpoint do not delay other
/// endpoints. No other component waits for deliveries.
/// </summary>
public sealed partial class WebhookSender(WebhookStore store, JobStore jobs, CatalogWatcher catalog,
    BudgetStore budgets, BudgetGuard limits, OutboundGuard guard,
    PayloadShare payloads, EndpointActivity activity, GatewayMetrics metrics, TimeProvider time,
    ILogger<WebhookSender> logger)
    : BackgroundLoop(time, logger)
{
    /// <summary>Maximum number of concurrent deliveries of one endpoint by this gateway.</summary>
    private const int MaxConcurrent = 16;

    /// <summary>
    /// Maximum bytes of a response that are read. The body is read so that the connection can be reused.
    /// </summary>
    private const int MaxAnswer = 64 << 10;

    /// <summary>Timeout of a delivery. Standard Webhooks recommends 15 to 30 s.</summary>
    private static readonly TimeSpan DeliveryTimeout = TimeSpan.FromSeconds(15);

    /// <summary>After this time, a delivery of a lost gateway is due again.</summary>
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(20);

    private static readonly TimeSpan PollInterval = TimeSpan.FromSeconds(1);

    private readonly TimeProvider time = time;
    private readonly ILogger<WebhookSender> logger = logger;
    private readonly EndpointTaskRotation chores = new();
    private readonly ConcurrentDictionary<string, int> busy = [];
    private readonly HttpMessageInvoker client = new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseProxy = false,
        UseCookies = false,
        AutomaticDecompression = DecompressionMethods.None,
        ActivityHeadersPropagator = null,
        MaxResponseHeadersLength = 16,
        PooledConnectionLifetime = TimeSpan.FromMinutes(1),
        PooledConnectionIdleTimeout = TimeSpan.FromSeconds(20),
        MaxConnectionsPerServer = MaxConcurrent,
        ConnectCallback = guard.ConnectAsync,
    });

    public override void Dispose()
    {
        client.Dispose();
        base.Dispose();
    }

    protected override async Task RunAsync(CancellationToken ct)
    {
        await catalog.Loaded.WaitAsync(ct);
        using var timer = SharedTicks.Every(PollInterval, time);
        do await StartDueAsync(ct);
        while (await timer.WaitForNextTickAsync(ct));
    }

    /// <summary>Reads the outboxes that are not empty, which are few.</summary>
    private async Task StartDueAsync(CancellationToken ct)
    {
        try
        {
            var endpoints = catalog.Current.Deployments.Select(d => d.Endpoint.Id);
            if (limits.HasAlerts) endpoints = endpoints.Append(BudgetStore.Outbox);
            chores.Start(await activity.FindWithDeliveriesAsync([.. endpoints], ct), id => DeliverDueAsync(id, ct), ct);
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            Failures.Report("Finding due webhooks", e);
        }
    }

    private async Task DeliverDueAsync(string endpoint, CancellationToken ct)
    {
        try
        {
            var room = MaxConcurrent - busy.GetValueOrDefault(endpoint);
            // Without the payload share some results cannot be read, so other gateways deliver.
            if (room <= 0 || !payloads.IsAvailable) return;
            var leased = await store.TakeAsync(endpoint, room, Lease, ct);
            if (leased.Unreadable.Count > 0)
                DeliveriesUnreadable(endpoint, leased.Unreadable.Count, leased.Unreadable[0], Lease.TotalSeconds);
            foreach (var due in leased.Tries)
            {
                busy.AddOrUpdate(endpoint, 1, (_, n) => n + 1);
                _ = Task.Run(() => DeliverAsync(due, ct), CancellationToken.None);
            }
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            // All exceptions: an error of one endpoint must not stop the others.
            Failures.Report($"Reading due webhooks of endpoint {endpoint}", e);
        }
    }

    private async Task DeliverAsync(WebhookTry due, CancellationToken ct)
    {
        CrashPoint.Pass("after-take");
        try
        {
            var started = Stopwatch.GetTimestamp();
            var (verdict, retryAfter, note) = await TrySafelyAsync(due, ct);
            CrashPoint.Pass("after-delivery");
            note = string.Create(CultureInfo.InvariantCulture,
                $"{note}, {Stopwatch.GetElapsedTime(started).TotalMilliseconds:0} ms");
            var pause = verdict == WebhookVerdict.Again
                ? WebhookSchedule.Next(due.Try, retryAfter, Random.Shared.NextDouble()) : null;
            var state = verdict == WebhookVerdict.Delivered ? "delivered" : pause is null ? "failed" : "pending";
            metrics.Delivered(due.EndpointId, state);
            if (pause is { } next) WebhookRetried(due.Delivery, due.EndpointId, due.Try, next.TotalSeconds, note);
            else if (state == "failed") WebhookAbandoned(due.Delivery, due.EndpointId, due.Try, note);
            await store.SettleAsync(due, pause, state, note, ct);
        }
        catch (Exception e)
        {
            // The lease expires, and the delivery is repeated.
            if (!ct.IsCancellationRequested) Failures.Report($"Delivering webhooks of endpoint {due.EndpointId}", e);
        }
        finally
        {
            busy.AddOrUpdate(due.EndpointId, 0, (_, n) => n - 1);
            busy.TryRemove(KeyValuePair.Create(due.EndpointId, 0));
        }

        if (!ct.IsCancellationRequested)
            await Failures.WatchAsync("Reading due webhooks", DeliverDueAsync(due.EndpointId, ct));
    }

    /// <summary>
    /// Turns an unexpected exception into a failed try. Otherwise the delivery would be repeated after each
    /// <see cref="Lease"/> without limit.
    /// </summary>
    private async Task<(WebhookVerdict Verdict, TimeSpan? RetryAfter, string Note)> TrySafelyAsync(WebhookTry due,
        CancellationToken ct)
    {
        try
        {
            return await TryAsync(due, ct);
        }
        catch (Exception e) when (!RedisErrors.Is(e) && e is not PayloadException && !ct.IsCancellationRequested)
        {
            Failures.Report($"Delivering webhooks of endpoint {due.EndpointId}", e);
            return (WebhookVerdict.Again, null, "internal error of the gateway; its log contains the endpoint id");
        }
    }

    private async Task<(WebhookVerdict Verdict, TimeSpan? RetryAfter, string Note)> TryAsync(WebhookTry due,
        CancellationToken ct)
    {
        if (guard.GetRejectionReason(due.Url) is { } why) return (WebhookVerdict.GivenUp, null, $"rejected: {why}");
        if (due.EndpointId == BudgetStore.Outbox)
            return await budgets.FindAlertAsync(due.Delivery, ct) is { } alert
                ? await SendAsync(due, BodyOf(alert), ct)
                : (WebhookVerdict.GivenUp, null, "the budget was deleted");
        Job? job;
        try
        {
            job = await jobs.LookAsync(due.EndpointId, due.Job, null, ct);
        }
        catch (PayloadException e) when (e.Fault != PayloadFault.Unavailable)
        {
            return (WebhookVerdict.Again, null, e.Message);
        }

        if (job is null) return (WebhookVerdict.GivenUp, null, "the job was deleted");
        // A delivery without output would look complete.
        if (job.Expired)
            return (WebhookVerdict.GivenUp, null,
                "the data of the job was deleted after jobs.retention, before the delivery");
        return await SendAsync(due, JobView.Write(job, null), ct);
    }

    private static ReadOnlyMemory<byte> BodyOf(BudgetAlert alert) => JsonSerializer.SerializeToUtf8Bytes(
        new BudgetAlertBody("budget.alert", alert.Level, BudgetView.From(
            alert.Budget with { Limit = alert.Limit }, new BudgetState(alert.Used, alert.Begin, alert.End))),
        UsageApiJson.Default.BudgetAlertBody);

    private async Task<(WebhookVerdict Verdict, TimeSpan? RetryAfter, string Note)> SendAsync(WebhookTry due,
        ReadOnlyMemory<byte> body, CancellationToken ct)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(DeliveryTimeout);
        try
        {
            using var request = await RequestAsync(due, body, ct);
            using var span = await StartSpanAsync(due, request, ct);
            using var response = await client.SendAsync(request, limit.Token);
            span?.SetTag(SpanNames.Status, (int)response.StatusCode);
            if (response.IsSuccessStatusCode) span?.SetStatus(ActivityStatusCode.Unset);
            var retryAfter = response.Headers.RetryAfter is not { } after ? null : after.Delta
                ?? (after.Date - time.GetUtcNow());
            await DrainAsync(response, limit.Token);
            return (WebhookSchedule.Classify((int)response.StatusCode), retryAfter,
                $"responded with status {(int)response.StatusCode}");
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            return (WebhookVerdict.Again, null, $"no complete response within {DeliveryTimeout.TotalSeconds:0} s");
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            for (var inner = e; inner is not null; inner = inner.InnerException)
                if (inner is ForbiddenTargetException)
                    return (WebhookVerdict.Again, null, $"rejected: {inner.Message}");
            return (WebhookVerdict.Again, null, e is HttpRequestException h
                ? $"failed: {h.HttpRequestError}" : "failed: the connection was lost");
        }
    }

    private async Task<HttpRequestMessage> RequestAsync(
        WebhookTry due, ReadOnlyMemory<byte> body, CancellationToken ct)
    {
        var now = time.GetUtcNow();
        var secrets = await store.SecretsAsync(due.EndpointId, now, ct);
        var request = new HttpRequestMessage(HttpMethod.Post, due.Url) { Content = new ReadOnlyMemoryContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        var stamp = now.ToUnixTimeSeconds();
        request.Headers.TryAddWithoutValidation("webhook-id", due.Delivery);
        request.Headers.TryAddWithoutValidation("webhook-timestamp", stamp.ToString(CultureInfo.InvariantCulture));
        request.Headers.TryAddWithoutValidation("webhook-signature",
            WebhookSignature.Sign(secrets, due.Delivery, stamp, body.Span));
        request.Headers.TryAddWithoutValidation("User-Agent", "Sluice-Webhooks/1");
        return request;
    }

    /// <summary>
    /// Starts the span of a delivery, and sets the headers of its trace; null: its job is not traced. The span has the
    /// status Error until the receiver has accepted the delivery.
    /// </summary>
    private async Task<Activity?> StartSpanAsync(WebhookTry due, HttpRequestMessage request, CancellationToken ct)
    {
        if (!Spans.AreEnabled) return null;
        var trace = await jobs.TraceAsync(due.EndpointId, due.Job, ct);
        if (JobTrace.StartDelivery(due.EndpointId, due.Delivery, trace) is not { } span) return null;
        span.SetTag(SpanNames.ServerAddress, request.RequestUri!.Host).SetStatus(ActivityStatusCode.Error);
        TraceText.Write(request.Headers, span.Context);
        return span;
    }

    private static async Task DrainAsync(HttpResponseMessage response, CancellationToken ct)
    {
        await using var body = await response.Content.ReadAsStreamAsync(ct);
        var buffer = new byte[8192];
        var read = 0;
        while (read < MaxAnswer && await body.ReadAsync(buffer, ct) is var n and > 0) read += n;
    }

    [LoggerMessage(LogLevel.Error,
        "Endpoint {Endpoint} has {Count} due webhook deliveries whose records cannot be read, for example {Delivery}; "
        + "they are read again in {Seconds:0} s")]
    private partial void DeliveriesUnreadable(string endpoint, int count, string delivery, double seconds);

    [LoggerMessage(LogLevel.Warning,
        "Webhook {Delivery} of endpoint {Endpoint} not delivered in attempt {Attempt}; the next attempt is in "
        + "{Seconds:0} s: {Note}")]
    private partial void WebhookRetried(string delivery, string endpoint, int attempt, double seconds, string note);

    [LoggerMessage(LogLevel.Warning,
        "Webhook {Delivery} of endpoint {Endpoint} abandoned after attempt {Attempt}: {Note}")]
    private partial void WebhookAbandoned(string delivery, string endpoint, int attempt, string note);
}
