using Sluice.Domain.Declarations;

namespace Sluice.Gateway.Authentication;

/// <summary>Decides whether a caller may use a route. Pure.</summary>
public static class Access
{
    /// <summary>Checks one request.</summary>
    /// <param name="required">The access level that the route requires.</param>
    /// <param name="key">The result of the key lookup.</param>
    /// <param name="caller">The owner of the key; null if the key is not valid.</param>
    /// <param name="target">The endpoint ID or model name in the route; empty if the route has none.</param>
    /// <param name="deployment">The deployment that is declared under that name, or null.</param>
    /// <returns>The verdict, and the error text for the client if the request is rejected.</returns>
    public static (AccessVerdict Verdict, string Detail) Decide(AccessLevel required, KeyVerdict key, Caller? caller,
        string target, Deployment? deployment)
    {
        if (required == AccessLevel.Nothing) return (AccessVerdict.Granted, "");
        if (key == KeyVerdict.CannotCheck)
            return (AccessVerdict.CannotCheck,
                "API keys cannot be checked now. Redis is unreachable. Retry the request.");
        if (key is KeyVerdict.Missing or KeyVerdict.SessionEnded
            && required is AccessLevel.Invoke or AccessLevel.ReadJobs
            && deployment is { Endpoint.Public: true })
            return (AccessVerdict.Granted, "");
        if (caller is null) return (AccessVerdict.NotAuthenticated, RejectionReason(key));
        return required switch
        {
            AccessLevel.AuthenticatedKey => (AccessVerdict.Granted, ""),
            AccessLevel.Read => Scoped(caller, caller.Scope.MayRead, "'read' or 'admin'"),
            AccessLevel.Metrics => Scoped(caller, caller.Scope.MayReadMetrics, "'metrics', 'read' or 'admin'"),
            AccessLevel.Admin => Scoped(caller, caller.Scope.Admin, "'admin'"),
            AccessLevel.Invoke => Invoke(caller, target, deployment, mayReadAll: false),
            AccessLevel.ReadJobs => Invoke(caller, target, deployment, caller.Scope.MayRead),
            _ => throw new ArgumentOutOfRangeException(nameof(required), required, "unknown access level"),
        };
    }

    private static (AccessVerdict, string) Scoped(Caller caller, bool isGranted, string scopes) => isGranted
        ? (AccessVerdict.Granted, "")
        : (AccessVerdict.Forbidden,
            $"Key {caller.KeyId} does not have the scope {scopes}, which this route requires.");

    private static (AccessVerdict, string) Invoke(
        Caller caller, string target, Deployment? deployment, bool mayReadAll)
    {
        var mayUse = mayReadAll || (deployment is null
            ? caller.Scope.SeesAll || caller.Scope.MayInvoke(target)
            : caller.Scope.MayInvoke(deployment.Endpoint.Id) || deployment.Endpoint.Public);
        if (!mayUse)
            return (AccessVerdict.Forbidden,
                $"Key {caller.KeyId} may not invoke '{target}': its scope does not include this endpoint.");
        return deployment is null
            ? (AccessVerdict.NoEndpoint, $"Endpoint '{target}' does not exist.")
            : (AccessVerdict.Granted, "");
    }

    private static string RejectionReason(KeyVerdict key) => key switch
    {
        KeyVerdict.Missing => "The request has no API key. Send 'Authorization: Bearer KEY'.",
        KeyVerdict.Malformed => "The API key is malformed: it is mistyped or truncated.",
        KeyVerdict.Unknown => "The API key is unknown or was revoked.",
        KeyVerdict.Expired => "The API key has expired.",
        KeyVerdict.TicketUsed => "The ticket was used already, or has expired. Create another one with "
            + "POST /api/v1/endpoints/{endpoint}/tickets.",
        KeyVerdict.SessionEnded => "The session has ended. Sign in again.",
        _ => throw new ArgumentOutOfRangeException(nameof(key), key, "no reason"),
    };
}
