using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Domain.UserPods;
using Sluice.Gateway.Http;
using Sluice.Storage.Keys;
using Sluice.Storage.UserPods;

namespace Sluice.Gateway.UserPods;

/// <summary>
/// One-time links, with which a person opens a pod in a browser. The link contains a ticket in its fragment, which is
/// not sent to servers and not logged. Its page redeems the ticket with a POST, which sets the cookie of the pod.
/// </summary>
public sealed partial class UserPodLinks(
    UserPodRouting routing,
    UserPodStore store,
    TicketStore tickets,
    TimeProvider time,
    ILogger<UserPodLinks> logger) : IDisposable
{
    /// <summary>How long a link can be opened.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(2);

    /// <summary>The last segments of the pages on a pod's origin.</summary>
    private const string PagePath = ".sluice/open";

    /// <summary>The kind of its tickets.</summary>
    private const string Kind = "pod";

    private readonly SemaphoreSlim reading = new(1);
    private byte[]? secret;

    /// <summary>Creates a link.</summary>
    /// <param name="pod">The pod.</param>
    /// <param name="port">The port that it opens.</param>
    /// <param name="path">The path after it, without a leading slash.</param>
    /// <param name="keyId">The API key that the cookie will depend on.</param>
    /// <param name="host">The host of the request.</param>
    /// <param name="ct">Cancels the call.</param>
    public async Task<UserPodLink> CreateAsync(
        UserPod pod, int port, string path, string keyId, HostString host, CancellationToken ct)
    {
        var ticket = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(24));
        var content = JsonSerializer.Serialize(new Ticket(pod.Id, port, keyId, path), UserPodApiJson.Default.Ticket);
        await tickets.StoreAsync(Kind, ticket, content, Lifetime, ct);
        var url = routing.UrlOf(pod.Id, port, host);
        return new UserPodLink($"{url}{PagePath}#{ticket}", url, time.GetUtcNow() + Lifetime);
    }

    /// <summary>Serves the pages of links. Returns false if the request is not for one of them.</summary>
    public async Task<bool> ServeAsync(HttpContext context, string podId, int port)
    {
        var path = context.Request.Path.Value ?? "";
        var prefix = routing.UsesPaths ? $"{UserPodRouting.PathPrefix}/{podId}/{port}/" : "/";
        if (!path.StartsWith(prefix + ".sluice/", StringComparison.Ordinal)) return false;
        switch (path[prefix.Length..], context.Request.Method)
        {
            case (PagePath, "GET"):
                await UserPodPages.WriteLinkAsync(context);
                return true;
            case (PagePath + ".js", "GET"):
                await UserPodPages.WriteScriptAsync(context);
                return true;
            case (PagePath, "POST"):
                await RedeemAsync(context, podId, port, prefix);
                return true;
            default:
                await Problem.WriteAsync(context, StatusCodes.Status404NotFound,
                    $"The path '{path}' does not exist; paths below .sluice belong to the gateway.");
                return true;
        }
    }

    /// <summary>Returns the valid cookie of a request for a pod, or null.</summary>
    public async ValueTask<UserPodCookie?> FindCookieAsync(HttpContext context, string podId)
    {
        var values = UserPodCookie.Find(context.Request.Headers.Cookie.ToString(), UserPodCookie.NameOf(routing));
        foreach (var value in values)
            if (UserPodCookie.Read(value, await SecretAsync(context.RequestAborted), time.GetUtcNow()) is { } cookie
                && cookie.PodId == podId) return cookie;
        return null;
    }

    public void Dispose() => reading.Dispose();

    private async Task RedeemAsync(HttpContext context, string podId, int port, string prefix)
    {
        var facts = UserPodRequestFacts.Read(context.Request, routing);
        // A page of another origin must not open a pod in this browser.
        if (facts.Origin != facts.OwnOrigin || facts.FetchSite is not ("" or "same-origin"))
        {
            await Problem.WriteAsync(context, StatusCodes.Status403Forbidden,
                $"Origin is '{facts.Origin}'; expected '{facts.OwnOrigin}'.");
            return;
        }

        if (await JsonBody.ReadAsync(context) is not { } body) return;
        var text = body.Node is JsonObject o && o["ticket"] is JsonValue v && v.TryGetValue<string>(out var t) ? t : "";
        var content = text.Length is > 0 and < 100
            ? await tickets.RedeemAsync(Kind, text, context.RequestAborted) : null;
        var ticket = content is null ? null : JsonSerializer.Deserialize(content, UserPodApiJson.Default.Ticket);
        if (ticket is null || ticket.PodId != podId || ticket.Port != port)
        {
            await Problem.WriteAsync(context, StatusCodes.Status401Unauthorized,
                "This link was used already, or has expired. Request another one with "
                + $"POST /api/v1/pods/{podId}/links.");
            return;
        }

        var cookie = new UserPodCookie(podId, ticket.KeyId, time.GetUtcNow() + UserPodCookie.Lifetime);
        context.Response.Cookies.Append(UserPodCookie.NameOf(routing),
            cookie.Sign(await SecretAsync(context.RequestAborted)), new CookieOptions
            {
                HttpOnly = true,
                Secure = routing.IsSecure,
                // A link of another page to a notebook works; its other requests are refused by UserPodRequestFacts.
                SameSite = SameSiteMode.Lax,
                Path = prefix,
                MaxAge = UserPodCookie.Lifetime,
            });
        context.Response.Headers.CacheControl = "no-store";
        UserPodOpened(podId, port, ticket.KeyId);
        await context.Response.WriteAsJsonAsync(
            new OpenedPod(prefix + ticket.Path), UserPodApiJson.Default.OpenedPod, cancellationToken: default);
    }

    private async ValueTask<byte[]> SecretAsync(CancellationToken ct)
    {
        if (secret is { } known) return known;
        await reading.WaitAsync(ct);
        try
        {
            return secret ??= await store.ReadSecretAsync(ct);
        }
        finally
        {
            reading.Release();
        }
    }

    /// <summary>What a ticket opens.</summary>
    internal sealed record Ticket(string PodId, int Port, string KeyId, string Path);

    /// <summary>The response to a redeemed ticket.</summary>
    internal sealed record OpenedPod(string Location);

    [LoggerMessage(LogLevel.Information, "Port {Port} of pod {Pod} was opened in a browser with key {Key}")]
    private partial void UserPodOpened(string pod, int port, string key);
}
