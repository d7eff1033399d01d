using System.Globalization;
using Sluice.Domain.Series;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Storage.Catalog;

namespace Sluice.Gateway.Overview;

/// <summary><c>/api/v1/series</c>: what charts of an endpoint, or of all together, show.</summary>
public sealed class SeriesApi(SeriesReader series, CatalogWatcher catalog)
{
    /// <summary>Maps the route.</summary>
    public void Map(IEndpointRouteBuilder routes) => routes.MapRoute("GET", "/api/v1/series", AccessLevel.Read,
        "Get requests, errors, tokens, durations, queue and workers step by step: ?endpoint= (without it, all "
        + "together), ?minutes= (60, at most 2880)", ReadAsync).Produces<SeriesChart>();

    private async Task ReadAsync(HttpContext context)
    {
        var (endpoint, given) = (context.Request.Query["endpoint"].ToString(), context.Request.Query["minutes"]);
        var minutes = 60;
        if (given.Count > 0 && (!int.TryParse(given, NumberStyles.None, CultureInfo.InvariantCulture, out minutes)
            || minutes is < 1 or > SeriesResolution.MaxMinutes))
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
                $"minutes is '{given}'; expected a whole number from 1 to {SeriesResolution.MaxMinutes}.");
            return;
        }

        if (endpoint.Length > 0 && await catalog.FindAsync(endpoint, context.RequestAborted) is null)
        {
            await Problem.WriteAsync(
                context, StatusCodes.Status404NotFound, $"The endpoint '{endpoint}' does not exist.");
            return;
        }

        await context.Response.WriteAsJsonAsync(
            await series.ReadAsync(endpoint, minutes, context.RequestAborted), context.RequestAborted);
    }
}
