using Sluice.Gateway.Auth;

namespace Sluice.Gateway.Api;

/// <summary><c>/e/{endpoint}/{**path}</c>: any path of a worker, any method, streams and upgrades included.</summary>
public static class DirectApi
{
    public static void Map(IEndpointRouteBuilder routes, EndpointRelay relay)
    {
        // Segments of the path that are the gateway's: "e" and the endpoint's id.
        routes.Map("/e/{endpoint}/{**path}", context => relay.SendAsync(context, skip: 2))
            .WithMetadata(new AccessRule(Demand.Invoke), new Leftovers.Relayed()).WithName("direct")
            .WithSummary("Any path of the endpoint's worker, any method");
    }
}
