using System.Diagnostics;
using System.Net;
using System.Threading.RateLimiting;
using Sluice.Core.Endpoints;
using Sluice.Core.Redis;
using Sluice.Gateway.Api;

namespace Sluice.Gateway.Auth;

/// <summary>
/// Stands before every route: reads the key, asks <see cref="Access"/>, and refuses early. A route without an
/// <see cref="AccessRule"/> is refused to all.
/// </summary>
public sealed class Gatekeeper(KeyRing keys, CatalogWatcher catalog, RateLimits limits, PollLimits polls, TimeProvider time) : IDisposable
{
    /// <summary>Failed attempts that an address has at once, and gets back a second.</summary>
    private const int Burst = 20;

    private readonly PartitionedRateLimiter<IPAddress> failures = PartitionedRateLimiter.Create<IPAddress, IPAddress>(
        address => RateLimitPartition.GetTokenBucketLimiter(address, _ => new TokenBucketRateLimiterOptions
        {
            TokenLimit = Burst,
            TokensPerPeriod = 1,
            ReplenishmentPeriod = TimeSpan.FromSeconds(1),
            QueueLimit = 0,
        }));

    public Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        if (context.GetEndpoint() is not { } route) return next(context);

        var started = Stopwatch.GetTimestamp();
        var demand = route.Metadata.GetMetadata<AccessRule>()?.Demand ?? Demand.Admin;
        var key = Read(context, out var caller);
        var target = Target(context, out var deployment);
        var (verdict, detail) = Access.Decide(demand, key, caller, target, deployment);
        if (verdict == AccessVerdict.CannotCheck && keys.LastFault is var fault and not RedisFault.None)
            detail = $"API keys cannot be checked now: {fault.Sentence()}";
        if (verdict == AccessVerdict.NoEndpoint) detail += NameSuggestion.For(target, Names(context, caller!));
        if (verdict != AccessVerdict.Granted) return RefuseAsync(context, verdict, detail, key);
        context.Features.Set(new Admission(caller, deployment, Stopwatch.GetElapsedTime(started), started));
        if (route.Metadata.GetMetadata<Polled>() is not null)
        {
            var rest = next;
            next = c => polls.InvokeAsync(c, caller, rest);
        }

        return demand == Demand.Invoke && caller is { Limits.Any: true } ? limits.InvokeAsync(context, caller, next) : next(context);
    }

    public void Dispose() => failures.Dispose();

    /// <summary>Only a header carries a key: what stands in a URL ends in logs.</summary>
    private KeyVerdict Read(HttpContext context, out Caller? caller)
    {
        caller = null;
        var values = context.Request.Headers.Authorization;
        if (values.Count == 0)
            return SocketKey.Find(context.Request.Headers) is { } offered ? keys.Find(offered, time.GetUtcNow(), out caller) : KeyVerdict.Missing;
        var text = values.ToString().AsSpan().Trim();
        const string bearer = "Bearer ";
        if (text.StartsWith(bearer, StringComparison.OrdinalIgnoreCase)) text = text[bearer.Length..].Trim();
        return text.IsEmpty ? KeyVerdict.Missing : keys.Find(text, time.GetUtcNow(), out caller);
    }

    private string Target(HttpContext context, out Deployment? deployment)
    {
        var values = context.Request.RouteValues;
        var (name, found) = values.TryGetValue("endpoint", out var id) ? ((string)id!, catalog.Current.Find((string)id!))
            : values.TryGetValue("model", out var model) ? ((string)model!, catalog.Current.FindByModel((string)model!))
            : ("", null);
        deployment = found;
        return name;
    }

    /// <summary>The names of the kind that the route has, of the endpoints that the caller may use.</summary>
    private IEnumerable<string> Names(HttpContext context, Caller caller)
    {
        var usable = catalog.Current.Deployments.Select(d => d.Endpoint).Where(e => e.Public || caller.Scope.MayInvoke(e.Id));
        return context.Request.RouteValues.ContainsKey("endpoint") ? usable.Select(e => e.Id) : usable.SelectMany(e => e.ServedModels);
    }

    private async Task RefuseAsync(HttpContext context, AccessVerdict verdict, string detail, KeyVerdict key)
    {
        if (verdict == AccessVerdict.NotAuthenticated)
        {
            context.Response.Headers.WWWAuthenticate = "Bearer realm=\"sluice\"";
            if (key != KeyVerdict.Missing && !TakeFailure(context))
            {
                await Problem.WriteAsync(context, StatusCodes.Status429TooManyRequests,
                    "too many wrong API keys from this address", TimeSpan.FromSeconds(1));
                return;
            }
        }

        await Problem.WriteAsync(context, verdict switch
        {
            AccessVerdict.NotAuthenticated => StatusCodes.Status401Unauthorized,
            AccessVerdict.Forbidden => StatusCodes.Status403Forbidden,
            AccessVerdict.NoEndpoint => StatusCodes.Status404NotFound,
            AccessVerdict.CannotCheck => StatusCodes.Status503ServiceUnavailable,
            _ => throw new ArgumentOutOfRangeException(nameof(verdict), verdict, "not a refusal"),
        }, detail, verdict == AccessVerdict.CannotCheck ? TimeSpan.FromSeconds(1) : default);
    }

    private bool TakeFailure(HttpContext context)
    {
        using var lease = failures.AttemptAcquire(context.Connection.RemoteIpAddress ?? IPAddress.None);
        return lease.IsAcquired;
    }
}

/// <summary>What the gatekeeper found out of an admitted request.</summary>
/// <param name="Caller">Whose key it carries; null: none, on a public endpoint or an open route.</param>
/// <param name="Deployment">The endpoint that its route names, if any.</param>
/// <param name="Took">How long the check took.</param>
/// <param name="Arrived">Timestamp of its arrival.</param>
public sealed record Admission(Caller? Caller, Deployment? Deployment, TimeSpan Took, long Arrived)
{
    /// <summary>Whose share of the queue it counts against.</summary>
    public string Flow => Caller?.KeyId ?? "public";

    /// <summary>Its share of an endpoint.</summary>
    public double Weight => Caller?.Limits.Weight ?? 1;
}
