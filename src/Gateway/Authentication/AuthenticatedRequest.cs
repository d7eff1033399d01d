using System.Diagnostics;
using Sluice.Domain.Declarations;

namespace Sluice.Gateway.Authentication;

/// <summary>The result of the access check of an admitted request.</summary>
/// <param name="Caller">
/// The owner of the key; null if the request has no key and the endpoint is public or the route requires none.
/// </param>
/// <param name="Deployment">The deployment of the endpoint that the route names, if any.</param>
/// <param name="Took">The duration of the check.</param>
/// <param name="Arrived">The arrival time, as a <see cref="Stopwatch"/> timestamp.</param>
public sealed record AuthenticatedRequest(Caller? Caller, Deployment? Deployment, TimeSpan Took, long Arrived)
{
    /// <summary>
    /// The deployment of the endpoint that the route names, if its canary gets the request; otherwise null.
    /// </summary>
    public Deployment? CanaryOf { get; init; }

    /// <summary>The name of the model that selected the deployment; null: its endpoint's id did.</summary>
    public string? Model { get; init; }

    /// <summary>The deployment of the endpoint that the route names, also if a canary handles the request.</summary>
    public Deployment? Named => CanaryOf ?? Deployment;

    /// <summary>Returns the admission with another deployment that handles the request.</summary>
    /// <param name="deployment">The named deployment or one of its canaries.</param>
    public AuthenticatedRequest SendTo(Deployment deployment) =>
        this with { Deployment = deployment, CanaryOf = deployment == Named ? null : Named };

    /// <summary>The flow whose share of the queue the request uses: the key ID, or <c>public</c>.</summary>
    public string Flow => Caller?.KeyId ?? "public";

    /// <summary>The weight of the flow in the endpoint's queue.</summary>
    public double Weight => Caller?.Limits.Weight ?? 1;
}
