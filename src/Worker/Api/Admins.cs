using Microsoft.AspNetCore.Http;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Api;

/// <summary>What only admins may do to a worker. Whoever may ask its models is not one.</summary>
internal static class Admins
{
    /// <summary>Said by the gateway of a caller whose key has the scope <c>admin</c>; it takes the header from everybody else's requests.</summary>
    public const string Header = "X-Sluice-Admin";

    /// <param name="context">The request.</param>
    /// <param name="what">As the error begins: what is done.</param>
    /// <exception cref="InvalidRequestException">403: the caller is none.</exception>
    public static void Demand(HttpContext context, string what)
    {
        if (context.Request.Headers[Header] != "1")
            throw new InvalidRequestException($"{what} by admins only: through the gateway with a key of the scope admin, "
                + $"at the worker itself with '{Header}: 1'", StatusCodes.Status403Forbidden);
    }
}
