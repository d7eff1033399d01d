namespace Sluice.Gateway.Selection;

/// <summary>
/// Reads from a request which endpoint it is for. The selector of a route is metadata of the route; without one,
/// <see cref="RouteSelector"/> is used. It runs before authorization, so it must not trust the request, and it must
/// leave the body unread for the handler.
/// </summary>
public interface IEndpointSelector
{
    /// <summary>Reads the name.</summary>
    /// <param name="context">The request. Its key, if it has one, is valid.</param>
    ValueTask<EndpointSelection> SelectAsync(HttpContext context);
}
