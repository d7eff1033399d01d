using System.Globalization;

namespace Sluice.Gateway.Authentication;

/// <summary>
/// The headers about the limits of a key: <c>RateLimit</c> and <c>RateLimit-Policy</c>
/// (draft-ietf-httpapi-ratelimit-headers-10), and <c>x-ratelimit-*</c> in the form of OpenAI's API
/// (platform.openai.com/docs/guides/rate-limits). They are set when the response starts, so an error response has them
/// too, and a worker cannot replace them.
/// </summary>
public sealed class RateLimitHeaders
{
    private Values? requests;
    private Values? tokens;

    /// <summary>Returns the headers of a response.</summary>
    public static RateLimitHeaders For(HttpContext context)
    {
        if (context.Features.Get<RateLimitHeaders>() is { } known) return known;
        var headers = new RateLimitHeaders();
        context.Features.Set(headers);
        context.Response.OnStarting(() =>
        {
            headers.Write(context.Response.Headers);
            return Task.CompletedTask;
        });
        return headers;
    }

    /// <summary>Sets the limit of requests.</summary>
    /// <param name="limit">Requests per minute.</param>
    /// <param name="remaining">Requests that are possible now.</param>
    /// <param name="reset">The time until the limit is whole again.</param>
    public void SetRequests(long limit, long remaining, TimeSpan reset) =>
        requests = new Values(limit, remaining, reset);

    /// <summary>Sets the limit of tokens.</summary>
    /// <param name="limit">Tokens per minute.</param>
    /// <param name="remaining">Tokens that can be reserved now.</param>
    /// <param name="reset">The time until the limit is whole again.</param>
    public void SetTokens(long limit, long remaining, TimeSpan reset) => tokens = new Values(limit, remaining, reset);

    /// <summary>Returns a duration as OpenAI's API writes it: <c>12ms</c>, <c>1.5s</c>, <c>6m0s</c>.</summary>
    public static string Format(TimeSpan time)
    {
        if (time < TimeSpan.FromSeconds(1))
            return string.Create(CultureInfo.InvariantCulture, $"{Math.Ceiling(time.TotalMilliseconds):0}ms");
        var seconds = string.Create(
            CultureInfo.InvariantCulture, $"{time.Seconds + (time.Milliseconds / 1000.0):0.###}s");
        var minutes = time >= TimeSpan.FromMinutes(1) ? $"{time.Minutes}m" : "";
        return (time >= TimeSpan.FromHours(1) ? $"{(long)time.TotalHours}h" : "") + minutes + seconds;
    }

    private void Write(IHeaderDictionary headers)
    {
        if (requests is { } r)
        {
            headers["RateLimit-Policy"] = string.Create(CultureInfo.InvariantCulture, $"\"minute\";q={r.Limit};w=60");
            headers["RateLimit"] = string.Create(CultureInfo.InvariantCulture,
                $"\"minute\";r={r.Remaining};t={(long)Math.Ceiling(r.Reset.TotalSeconds)}");
            Write(headers, "requests", r);
        }

        if (tokens is { } t) Write(headers, "tokens", t);
    }

    private static void Write(IHeaderDictionary headers, string unit, Values values)
    {
        headers[$"x-ratelimit-limit-{unit}"] = values.Limit.ToString(CultureInfo.InvariantCulture);
        headers[$"x-ratelimit-remaining-{unit}"] = values.Remaining.ToString(CultureInfo.InvariantCulture);
        headers[$"x-ratelimit-reset-{unit}"] = Format(values.Reset);
    }

    private sealed record Values(long Limit, long Remaining, TimeSpan Reset);
}
