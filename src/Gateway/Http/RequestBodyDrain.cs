using Microsoft.AspNetCore.Http.Features;

namespace Sluice.Gateway.Http;

/// <summary>Prepares responses to requests whose body the gateway does not read.</summary>
public static class RequestBodyDrain
{
    /// <summary>
    /// Lets the server read and discard the rest of the body for a limited time (Kestrel: 5 s). Otherwise, Kestrel
    /// closes the connection immediately, because the body is larger than its limit, and a client that sends its whole
    /// body before it reads the response sees a connection failure instead of the response.
    /// </summary>
    public static void LetSend(HttpContext context)
    {
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } feature)
            feature.MaxRequestBodySize = null;
    }
}
