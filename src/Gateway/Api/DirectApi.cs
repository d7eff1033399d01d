using Sluice.Gateway.Auth;

namespace Sluice.Gateway.Api;

/// <summary><c>/e/{endpoint}/{**path}</c>: any path of a worker, any method, streams and upgrades included.</summary>
public static class DirectApi
{
    public static void Map(IEndpointRouteBuilder routes, EndpointRelay relay)
    {
        routes.Map("/e/{endpoint}/{**path}", context => relay.SendAsync(context, PathAtWorker(context.Request.Path)))
            .WithMetadata(new AccessRule(Demand.Invoke), new Leftovers.Relayed()).WithName("direct")
            .WithSummary("Any path of the endpoint's worker, any method");
    }

    /// <summary>What follows <c>/e/{endpoint}</c>, encoded.</summary>
    internal static string PathAtWorker(PathString path)
    {
        var text = path.ToUriComponent();
        var end = text.IndexOf('/', 3);
        return end < 0 ? "/" : text[end..];
    }
}
