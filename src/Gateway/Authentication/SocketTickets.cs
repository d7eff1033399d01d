using System.Security.Cryptography;
using Sluice.Gateway.Http;
using Sluice.Storage.Keys;
using Sluice.Storage.Redis;

namespace Sluice.Gateway.Authentication;

/// <summary>
/// Tickets that authenticate a WebSocket of a browser, which cannot send a header: the page's server creates one with
/// its API key, and the page connects with <c>?ticket=</c>. A ticket opens one endpoint, once, within
/// <see cref="Lifetime"/>, so that a URL in a log is of no use. It ends with its key. The gateway removes it from the
/// URL.
/// </summary>
public sealed class SocketTickets(TicketStore store, ApiKeyCache keys, TimeProvider time)
{
    /// <summary>How long a ticket can be used.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromSeconds(30);

    private const string Kind = "socket";

    /// <summary>Maps the route that creates tickets.</summary>
    public void Map(IEndpointRouteBuilder routes) =>
        routes.MapRoute("POST", "/api/v1/endpoints/{endpoint}/tickets", AccessLevel.Invoke,
            "Create a ticket for one WebSocket of a browser: ?ticket= of its URL, within 30 s",
            CreateAsync).Produces<SocketTicket>(StatusCodes.Status201Created);

    /// <summary>
    /// Uses a ticket. Returns its caller, who may use the ticket's endpoint only; null: the ticket is not valid.
    /// </summary>
    public async Task<(KeyVerdict Verdict, Caller? Caller)> RedeemAsync(string ticket, CancellationToken ct)
    {
        string? content;
        try
        {
            content = await store.RedeemAsync(Kind, ticket, ct);
        }
        catch (Exception e) when (RedisErrors.Is(e))
        {
            return (KeyVerdict.CannotCheck, null);
        }

        if (content?.Split(' ') is not [var endpoint, var keyId]) return (KeyVerdict.TicketUsed, null);
        var verdict = keys.FindById(keyId, time.GetUtcNow(), out var caller);
        if (caller is null) return (verdict, null);
        // The key may have lost the endpoint since. A public endpoint accepts a caller without it.
        var scope = new KeyScope { Invoke = caller.Scope.MayInvoke(endpoint) ? [endpoint] : [] };
        return (verdict, caller with { Scope = scope });
    }

    private async Task CreateAsync(HttpContext context)
    {
        var admission = context.Admission();
        if (admission.Caller is not { } caller)
        {
            await Problem.WriteAsync(context, StatusCodes.Status401Unauthorized,
                "The request has no API key. A public endpoint needs no ticket.");
            return;
        }

        var random = RandomNumberGenerator.GetBytes(SocketTicketUrl.RandomBytes);
        var ticket = SocketTicketUrl.Prefix + Convert.ToHexStringLower(random);
        await store.StoreAsync(Kind, ticket, $"{admission.Deployment!.Endpoint.Id} {caller.KeyId}", Lifetime,
            context.RequestAborted);
        context.Response.StatusCode = StatusCodes.Status201Created;
        context.Response.Headers.CacheControl = "no-store";
        await context.Response.WriteAsJsonAsync(
            new SocketTicket(ticket, time.GetUtcNow() + Lifetime), context.RequestAborted);
    }
}
