using System.Globalization;
using System.Net;
using System.Text;
using Sluice.Gateway.Http;

namespace Sluice.Gateway.UserPods;

/// <summary>The pages that the gateway itself serves on the origin of a pod.</summary>
internal static class UserPodPages
{
    /// <summary>Nothing is loaded except the gateway's own script, and no page may frame them.</summary>
    private const string Policy = "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; "
        + "form-action 'none'; frame-ancestors 'none'";

    /// <summary>Redeems the ticket in the fragment of the URL, which browsers send to no server.</summary>
    private const string Script = """
        const show = text => { document.getElementById("state").textContent = text; };
        const ticket = location.hash.slice(1);
        history.replaceState(null, "", location.pathname);
        fetch(location.pathname, {
          method: "POST",
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify({ ticket }),
        }).then(async response => {
          const answer = await response.json();
          if (response.ok) location.replace(answer.location);
          else show(answer.detail);
        }).catch(error => show(String(error)));
        """;

    /// <summary>Writes the page of a one-time link.</summary>
    public static Task WriteLinkAsync(HttpContext context) => WriteAsync(context, StatusCodes.Status200OK,
        "<p id=\"state\">Opening the pod.</p><script src=\"open.js\" defer></script>");

    /// <summary>Writes the script of the page.</summary>
    public static Task WriteScriptAsync(HttpContext context)
    {
        context.Response.ContentType = "text/javascript; charset=utf-8";
        context.Response.Headers.XContentTypeOptions = "nosniff";
        return context.Response.WriteAsync(Script);
    }

    /// <summary>Writes an error: a page for a person who navigates, otherwise the JSON form.</summary>
    /// <param name="context">The request.</param>
    /// <param name="status">The HTTP status.</param>
    /// <param name="detail">The error text.</param>
    /// <param name="retryAfter">When the page loads itself again; zero: it does not.</param>
    public static Task RefuseAsync(HttpContext context, int status, string detail, TimeSpan retryAfter = default)
    {
        var reads = HttpMethods.IsGet(context.Request.Method)
            && context.Request.Headers.Accept.ToString().Contains("text/html", StringComparison.Ordinal);
        if (!reads) return Problem.WriteAsync(context, status, detail, retryAfter);
        if (retryAfter > TimeSpan.Zero)
            context.Response.Headers["Refresh"] = ((int)retryAfter.TotalSeconds).ToString(CultureInfo.InvariantCulture);
        return WriteAsync(context, status, $"<p>{WebUtility.HtmlEncode(detail)}</p>");
    }

    private static Task WriteAsync(HttpContext context, int status, string content)
    {
        var response = context.Response;
        response.StatusCode = status;
        response.ContentType = "text/html; charset=utf-8";
        response.Headers.ContentSecurityPolicy = Policy;
        response.Headers.CacheControl = "no-store";
        response.Headers["Referrer-Policy"] = "no-referrer";
        response.Headers.XContentTypeOptions = "nosniff";
        var page = $"<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Pod</title>{content}</html>\n";
        return response.Body.WriteAsync(Encoding.UTF8.GetBytes(page)).AsTask();
    }
}
