using Sluice.Domain.Declarations;
using Sluice.Domain.Jobs;

namespace Sluice.Gateway.Selection;

/// <summary>Finds the deployment that handles a request: the named one, a canary of it, or that of a job.</summary>
public static class CanaryRouting
{
    /// <summary>The response header with the endpoint that handles a request, if it is not the named one.</summary>
    public const string Header = "X-Sluice-Endpoint";

    /// <summary>
    /// Returns the deployment that handles a request. A route with <see cref="SharesWithCanaries"/> draws it by weight.
    /// The id of a job that was given to a canary names that canary, also if the share has changed.
    /// </summary>
    /// <param name="context">The request. Its caller may use the named endpoint.</param>
    /// <param name="catalog">The endpoints.</param>
    /// <param name="named">The deployment that the request names.</param>
    /// <param name="model">The model that the request names; null: none.</param>
    public static Deployment Find(HttpContext context, EndpointCatalog catalog, Deployment named, string? model)
    {
        if (context.GetEndpoint()!.Metadata.GetMetadata<SharesWithCanaries>() is not null)
        {
            var canaries = catalog.CanariesOf(named.Endpoint.Id);
            return canaries.Count == 0
                ? named : CanaryShare.Select(named, canaries, model, 100 * Random.Shared.NextDouble());
        }

        return context.Request.RouteValues.GetValueOrDefault("id") is string job && JobId.EndpointOf(job) is { } id
            && catalog.Find(id) is { } canary ? canary : named;
    }
}
