using System.Text;
using Microsoft.Net.Http.Headers;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;

namespace Sluice.Gateway.Dashboard;

/// <summary>
/// Serves the dashboard at <c>/ui/</c>: static files that anybody may read. Its data are of the API, with the session
/// of the browser.
/// </summary>
public static class DashboardApi
{
    /// <summary>
    /// Scripts, styles and connections of the gateway only, nothing inline, and no frame: a text that the dashboard
    /// shows cannot become a script, and no other page can show it under its own buttons.
    /// </summary>
    public const string Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        + "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

    private const string Root = "/ui/";

    private static readonly DashboardFile NotBuilt = new("not-built.html", Encoding.UTF8.GetBytes("""
        <!doctype html>
        <html lang="en">
        <head><meta charset="utf-8"><title>Sluice</title></head>
        <body>
        <h1>Sluice</h1>
        <p>This gateway was built without the dashboard. The API works.</p>
        <p>To build the dashboard, install Node.js 20 or later with npm, and publish the gateway again:</p>
        <pre>make publish</pre>
        <p><a href="/openapi.json">Description of the API</a></p>
        </body>
        </html>

        """));

    /// <summary>Maps the routes.</summary>
    public static void Map(IEndpointRouteBuilder routes, DashboardFiles files)
    {
        routes.MapRoute("GET", "/", AccessLevel.Nothing, "Redirect to the dashboard", (HttpContext context) =>
        {
            Protect(context.Response);
            context.Response.Redirect(Root);
        }).Produces(StatusCodes.Status302Found);
        routes.MapRoute("GET", "/ui/{**path}", AccessLevel.Nothing,
            "Get a file of the dashboard, or its page for every other path except /ui/assets/",
            (HttpContext context, string? path) => ServeAsync(context, files, path ?? ""))
            .Produces<string>(StatusCodes.Status200OK, "text/html");
    }

    internal static Task ServeAsync(HttpContext context, DashboardFiles files, string path)
    {
        var (request, response) = (context.Request, context.Response);
        Protect(response);
        // Relative links need the slash.
        if (path.Length == 0 && !request.Path.Value!.EndsWith('/'))
        {
            response.Redirect(Root);
            return Task.CompletedTask;
        }

        var file = files.IsBuilt ? files.Find(path) : path.Length == 0 ? NotBuilt : null;
        if (file is null)
            return Problem.WriteAsync(context, StatusCodes.Status404NotFound,
                $"The dashboard has no file '{path}'." + (files.IsBuilt ? "" : " The gateway was built without it."));
        var encoding = file.Compresses ? SelectEncoding(request.Headers.AcceptEncoding.ToString()) : "";
        var (body, tag) = file.Get(encoding);
        response.Headers.ETag = tag;
        response.Headers.CacheControl = file.IsImmutable ? "public, max-age=31536000, immutable" : "no-cache";
        if (file.Compresses) response.Headers.Vary = "Accept-Encoding";
        if (request.GetTypedHeaders().IfNoneMatch.Any(t => t.Equals(EntityTagHeaderValue.Any)
            || t.Compare(new EntityTagHeaderValue(tag), useStrongComparison: false)))
        {
            response.StatusCode = StatusCodes.Status304NotModified;
            return Task.CompletedTask;
        }

        if (encoding.Length > 0) response.Headers.ContentEncoding = encoding;
        response.ContentType = file.ContentType;
        response.ContentLength = body.Length;
        return HttpMethods.IsHead(request.Method)
            ? Task.CompletedTask
            : response.Body.WriteAsync(body, context.RequestAborted).AsTask();
    }

    /// <summary>Returns the encoding of a response: brotli, else gzip, else none.</summary>
    /// <param name="accepted">The header <c>Accept-Encoding</c>.</param>
    internal static string SelectEncoding(string accepted)
    {
        if (!StringWithQualityHeaderValue.TryParseList([accepted], out var items)) return "";
        bool Accepts(string name) => items.Any(i => i.Quality is not 0
            && i.Value.Equals(name, StringComparison.OrdinalIgnoreCase));
        return Accepts("br") ? "br" : Accepts("gzip") ? "gzip" : "";
    }

    private static void Protect(HttpResponse response)
    {
        response.Headers.ContentSecurityPolicy = Policy;
        response.Headers.XContentTypeOptions = "nosniff";
        response.Headers["Referrer-Policy"] = "no-referrer";
        response.Headers["Cross-Origin-Opener-Policy"] = "same-origin";
        response.Headers["Cross-Origin-Resource-Policy"] = "same-origin";
        response.Headers.XFrameOptions = "DENY";
    }
}
