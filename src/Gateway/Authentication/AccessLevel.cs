namespace Sluice.Gateway.Authentication;

/// <summary>The access level that a route requires. A route without one requires <see cref="Admin"/>.</summary>
public enum AccessLevel
{
    /// <summary>No key is required: health and description.</summary>
    Nothing,

    /// <summary>Any valid key.</summary>
    AuthenticatedKey,

    /// <summary>A key with the scope <c>read</c> or <c>admin</c>: reads the state of the gateway.</summary>
    Read,

    /// <summary>A key with the scope <c>metrics</c>, <c>read</c> or <c>admin</c>.</summary>
    Metrics,

    /// <summary>A key with the scope <c>admin</c>.</summary>
    Admin,

    /// <summary>A key that may invoke the route's endpoint. A public endpoint requires no key.</summary>
    Invoke,

    /// <summary>As <see cref="Invoke"/>, or a key with the scope <c>read</c>: reads the endpoint's jobs.</summary>
    ReadJobs,
}
