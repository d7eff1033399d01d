using Sluice.Core.Endpoints;

namespace Sluice.Gateway.Auth;

/// <summary>What a route demands of its caller. A route without one is refused to all.</summary>
public enum Demand
{
    /// <summary>Nothing: health and description.</summary>
    Nothing,

    /// <summary>Any valid key.</summary>
    AnyKey,

    /// <summary>A key with the scope <c>admin</c>.</summary>
    Admin,

    /// <summary>A key that may invoke the route's endpoint; none when that is public.</summary>
    Invoke,
}

/// <summary>Route metadata.</summary>
public sealed record AccessRule(Demand Demand);

/// <summary>Why a request was refused, or not.</summary>
public enum AccessVerdict
{
    Granted,

    /// <summary>401: who is it?</summary>
    NotAuthenticated,

    /// <summary>403: known, and may not.</summary>
    Forbidden,

    /// <summary>404: no such endpoint, told only to those who may know.</summary>
    NoEndpoint,

    /// <summary>503: keys cannot be checked now.</summary>
    CannotCheck,
}

/// <summary>Who may do what. Pure.</summary>
public static class Access
{
    /// <param name="demand">The route's demand.</param>
    /// <param name="key">What became of the key that was sent.</param>
    /// <param name="caller">Whose key it is, when it is valid.</param>
    /// <param name="target">The endpoint id, or model name, that the route names; empty when it names none.</param>
    /// <param name="deployment">What is declared under that name, or null.</param>
    /// <returns>The verdict, and for a refusal what the client is told.</returns>
    public static (AccessVerdict Verdict, string Detail) Decide(Demand demand, KeyVerdict key, Caller? caller,
        string target, Deployment? deployment)
    {
        if (demand == Demand.Nothing) return (AccessVerdict.Granted, "");
        if (key == KeyVerdict.CannotCheck)
            return (AccessVerdict.CannotCheck, "API keys cannot be checked now: Redis is unreachable");
        if (key == KeyVerdict.Missing && demand == Demand.Invoke && deployment is { Endpoint.Public: true })
            return (AccessVerdict.Granted, "");
        if (caller is null) return (AccessVerdict.NotAuthenticated, WhyNot(key));
        return demand switch
        {
            Demand.AnyKey => (AccessVerdict.Granted, ""),
            Demand.Admin => caller.Scope.Admin ? (AccessVerdict.Granted, "")
                : (AccessVerdict.Forbidden, $"key {caller.KeyId} has no scope admin, which this needs"),
            Demand.Invoke => Invoke(caller, target, deployment),
            _ => throw new ArgumentOutOfRangeException(nameof(demand), demand, "unknown demand"),
        };
    }

    private static (AccessVerdict, string) Invoke(Caller caller, string target, Deployment? deployment)
    {
        var mayInvoke = deployment is null ? caller.Scope.SeesAll || caller.Scope.MayInvoke(target)
            : caller.Scope.MayInvoke(deployment.Endpoint.Id) || deployment.Endpoint.Public;
        if (!mayInvoke)
            return (AccessVerdict.Forbidden, $"key {caller.KeyId} may not invoke '{target}': its scope names other endpoints");
        return deployment is null ? (AccessVerdict.NoEndpoint, $"no endpoint serves '{target}'") : (AccessVerdict.Granted, "");
    }

    private static string WhyNot(KeyVerdict key) => key switch
    {
        KeyVerdict.Missing => "no API key: send 'Authorization: Bearer KEY'",
        KeyVerdict.Malformed => "the API key is not one of this gateway's: it is mistyped or cut",
        KeyVerdict.Unknown => "the API key is unknown or was revoked",
        KeyVerdict.Expired => "the API key has expired",
        _ => throw new ArgumentOutOfRangeException(nameof(key), key, "no reason"),
    };
}
