namespace Sluice.Domain.Declarations;

/// <summary>Decides which endpoint gets a request that names an endpoint with canaries. Pure.</summary>
public static class CanaryShare
{
    /// <summary>
    /// Returns the endpoint that gets the request. The share of a canary that is paused, or that does not serve the
    /// model, stays at the named endpoint.
    /// </summary>
    /// <param name="named">The endpoint that the request names.</param>
    /// <param name="canaries">Its canaries in a fixed order.</param>
    /// <param name="model">The model that the request names; null: none.</param>
    /// <param name="draw">A number from 0 to 100 (exclusive), evenly distributed over the requests.</param>
    public static Deployment Select(
        Deployment named, IReadOnlyList<Deployment> canaries, string? model, double draw)
    {
        var below = 0;
        foreach (var canary in canaries)
        {
            below += canary.Endpoint.Canary!.Weight;
            if (draw >= below) continue;
            var takes = canary.Endpoint.Scaling.Pause == Pause.None
                && (model is null || canary.Endpoint.ServedModels.Contains(model));
            return takes ? canary : named;
        }

        return named;
    }
}
