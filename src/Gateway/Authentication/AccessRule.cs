namespace Sluice.Gateway.Authentication;

/// <summary>Route metadata: the access level that the route requires.</summary>
public sealed record AccessRule(AccessLevel Level)
{
    /// <summary>Whether the route belongs to an endpoint.</summary>
    public bool IsOfEndpoint => Level is AccessLevel.Invoke or AccessLevel.ReadJobs;
}
