using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Storage.Audit;
using Sluice.Storage.Redis;

namespace Sluice.Gateway.Audit;

/// <summary>
/// Writes an entry of the audit log, and a line of the gateway's log, after each successful request of a route with
/// <see cref="Audited"/>. A request that ends with an exception may have made its change: its client can leave before
/// the response. Its entry says so. If Redis does not store the entry, the line remains.
/// </summary>
public sealed partial class AuditMiddleware(AuditStore store, TimeProvider time, ILogger<AuditMiddleware> logger)
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(2);

    public Task InvokeAsync(HttpContext context, RequestDelegate next) =>
        context.GetEndpoint()?.Metadata.GetMetadata<Audited>() is { } audited
            ? RunAsync(context, next, audited)
            : next(context);

    private async Task RunAsync(HttpContext context, RequestDelegate next, Audited audited)
    {
        try
        {
            await next(context);
        }
        catch
        {
            await RecordAsync(context, audited, isUncertain: true);
            throw;
        }

        // 202 is a part of an upload, which changes nothing yet.
        if (context.Response.StatusCode is >= 200 and < 300 and not StatusCodes.Status202Accepted)
            await RecordAsync(context, audited, isUncertain: false);
    }

    private async Task RecordAsync(HttpContext context, Audited audited, bool isUncertain)
    {
        if (context.Features.Get<DryRun>() is not null) return;
        var details = context.Features.Get<AuditDetails>();
        var (before, after) = JsonDifference.Between(details?.Before, details?.After);
        var caller = context.Admission().Caller;
        var entry = new AuditEntry
        {
            At = time.GetUtcNow(),
            Actor = caller?.KeyId ?? "public",
            ActorName = caller?.Name ?? "",
            From = context.Connection.RemoteIpAddress?.ToString() ?? "",
            RequestId = context.TraceIdentifier,
            Action = audited.Action,
            Target = details?.Target ?? context.Request.Path,
            IsUncertain = isUncertain,
            Before = before,
            After = after,
        };
        Audit(entry.Actor, entry.From, entry.Action, entry.Target, entry.RequestId);
        try
        {
            // The change is made, so it is recorded even if the client has gone.
            await store.AddAsync(entry, CancellationToken.None).WaitAsync(Timeout, time);
        }
        catch (Exception e) when (RedisErrors.Is(e) || e is TimeoutException)
        {
            AuditNotStored(entry.RequestId, e.Message);
        }
    }

    [LoggerMessage(LogLevel.Information,
        "Key {Actor} at {Address} changed {Target} ({Action}, request {Request})")]
    private partial void Audit(string actor, string address, string action, string target, string request);

    [LoggerMessage(LogLevel.Warning,
        "The change of request {Request} is not in the audit log, only in this log: {Error}")]
    private partial void AuditNotStored(string request, string error);
}
