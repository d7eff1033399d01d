namespace Sluice.Gateway.Authentication;

/// <summary>The access level that a route requires. A route without one requires <see cref="Admin"/>.</summary>
public enum AccessLevel
{
    /// <summary>No key is required: health and description.</summary>
    Nothing,

    /// <summary>Any valid key.</summary>
    AuthenticatedKey,

    /// <summary>A key with the scope <c>admin</c>.</summary>
    Admin,

    /// <summary>A key that may invoke the route's endpoint. A public endpoint requires no key.</summary>
    Invoke,
}

/// <summary>Route metadata: the access level that the route requires.</summary>
public sealed record AccessRule(AccessLevel Level);
