using System.Buffers;
using Microsoft.AspNetCore.Http.Features;
using Sluice.Domain.Notation;

namespace Sluice.Gateway.Http;

/// <summary>
/// Reads the path of a request as the client sent it. The server decodes the path once, for routing and authorization.
/// A worker receives the original path, so that nothing is decoded twice. A path that the gateway and the worker could
/// interpret differently is rejected.
/// </summary>
public static class RequestTarget
{
    /// <summary>Visible ASCII except '#' (RFC 3986: a request has no fragment).</summary>
    private static readonly SearchValues<char> Allowed =
        SearchValues.Create([.. Enumerable.Range('!', '~' - '!' + 1).Select(c => (char)c).Where(c => c != '#')]);

    /// <summary>Reads the path and the query that are sent to a worker.</summary>
    /// <param name="context">The request.</param>
    /// <param name="skip">The number of path segments that belong to the gateway: 2 for <c>/e/{endpoint}</c>.</param>
    /// <param name="target">The path and query, encoded as received, with a leading slash.</param>
    /// <returns>The error text if the path is rejected; otherwise null.</returns>
    public static string? Read(HttpContext context, int skip, out string target)
    {
        var raw = context.Features.Get<IHttpRequestFeature>()?.RawTarget ?? "";
        var path = context.Request.Path.Value ?? "";
        return Read(raw, path, skip, out target);
    }

    /// <summary>Reads the path and the query from the request's texts.</summary>
    /// <param name="raw">The request target: <c>/path?query</c> or <c>http://host/path?query</c>.</param>
    /// <param name="decoded">The decoded path, which routing and authorization used.</param>
    /// <param name="skip">The number of path segments that belong to the gateway.</param>
    /// <param name="target">The path and query for the worker.</param>
    /// <returns>The error text if the path is rejected; otherwise null.</returns>
    public static string? Read(string raw, string decoded, int skip, out string target)
    {
        target = "/";
        var rest = raw.AsSpan();
        if (rest.Length > 0 && rest[0] != '/')
        {
            // The absolute form (RFC 9112, section 3.2.2).
            var authority = raw.IndexOf("://", StringComparison.Ordinal);
            var start = authority < 0 ? -1 : raw.AsSpan(authority + 3).IndexOfAny('/', '?');
            if (start < 0) return $"The request target is '{QuotedText.Shorten(raw)}'; expected a path.";
            rest = rest[(authority + 3 + start)..];
        }

        if (rest.IndexOfAnyExcept(Allowed) is >= 0 and var at)
            return $"The request target contains '{rest[at]}'; expected visible ASCII without '#'. "
                + "Percent-encode other characters.";
        var query = rest.IndexOf('?');
        var path = query < 0 ? rest : rest[..query];
        if (HasDotSegment(path))
            return $"The path is '{QuotedText.Shorten(raw)}'; expected a path without the segments '.' and '..', "
                + "encoded or not. Send the resolved path.";
        if (path.Count('/') != decoded.AsSpan().Count('/'))
            return $"The path is '{QuotedText.Shorten(raw)}', which is ambiguous; expected a path without a host, as "
                + "/path.";
        for (; skip > 0; skip--)
        {
            var next = path[1..].IndexOf('/');
            path = next < 0 ? default : path[(next + 1)..];
            if (next < 0) break;
        }

        target = string.Concat(path.IsEmpty ? "/" : path, query < 0 ? default : rest[query..]);
        return null;
    }

    /// <summary>
    /// Returns whether the path has a segment <c>.</c> or <c>..</c>. The server decodes <c>%2e</c> before it removes
    /// them.
    /// </summary>
    private static bool HasDotSegment(ReadOnlySpan<char> path)
    {
        if (!path.Contains('.') && !path.Contains("%2e", StringComparison.OrdinalIgnoreCase)) return false;
        foreach (var range in path.Split('/'))
        {
            var segment = path[range];
            var dots = 0;
            while (segment.Length > 0)
            {
                var length = segment[0] == '.' ? 1
                    : segment.StartsWith("%2e", StringComparison.OrdinalIgnoreCase) ? 3 : 0;
                if (length == 0) break;
                dots++;
                segment = segment[length..];
            }

            if (segment.IsEmpty && dots is 1 or 2) return true;
        }

        return false;
    }
}
