using Microsoft.AspNetCore.Http.Features;

namespace Sluice.Gateway.Forwarding;

/// <summary>Answers to requests whose body is not wanted.</summary>
public static class EarlyRefusal
{
    /// <summary>
    /// Lets the server read on for a while (Kestrel: 5 s) and throw away what comes: a client that sends its whole body before it looks
    /// for an answer would else find a broken connection instead of it. Without this Kestrel closes at once, as the body is over its limit.
    /// </summary>
    public static void LetSend(HttpContext context)
    {
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } feature) feature.MaxRequestBodySize = null;
    }
}
