using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Gateway.Selection;

namespace Sluice.Gateway.Relay;

/// <summary>
/// <c>/e/{endpoint}/{**path}</c>: forwards any path and method to a worker, including streams and upgrades.
/// </summary>
public static class DirectApi
{
    /// <summary>Maps the route.</summary>
    public static void Map(IEndpointRouteBuilder routes, EndpointRelay relay)
    {
        // Two path segments belong to the gateway: "e" and the endpoint id.
        routes.Map("/e/{endpoint}/{**path}", context => relay.SendAsync(context, skip: 2))
            .WithMetadata(new AccessRule(AccessLevel.Invoke), new GatewayExceptionHandler.Relayed(),
                new AcceptsSocketTickets(), SharesWithCanaries.Instance)
            .WithName("direct")
            .WithSummary("Forward any method and path to a worker of the endpoint");
    }
}
