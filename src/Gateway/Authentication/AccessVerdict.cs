namespace Sluice.Gateway.Authentication;

/// <summary>The result of an access check.</summary>
public enum AccessVerdict
{
    Granted,

    /// <summary>401: the caller is not authenticated.</summary>
    NotAuthenticated,

    /// <summary>403: the caller is authenticated, but not authorized.</summary>
    Forbidden,

    /// <summary>404: the endpoint does not exist. Returned only to callers that may see all endpoints.</summary>
    NoEndpoint,

    /// <summary>503: keys cannot currently be checked.</summary>
    CannotCheck,
}
