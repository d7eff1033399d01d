namespace Sluice.Domain.UserPods;

/// <summary>
/// A pod as users declared it: an isolated environment that runs until it is stopped, beside the endpoints and their
/// workers. Users and the rules of <see cref="UserPodDeadlines"/> change it. What is observed is in
/// <see cref="UserPodState"/>, which the pod's controller changes.
/// </summary>
public sealed record UserPod
{
    public required string Id { get; init; }

    public required UserPodSpec Spec { get; init; }

    /// <summary>The id of the API key that created it.</summary>
    public required string Owner { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public UserPodGoal Goal { get; init; } = UserPodGoal.Running;

    /// <summary>Why the pod has its goal, for operators: <c>idle for 30m</c>; empty: a user requested it.</summary>
    public string Cause { get; init; } = "";

    /// <summary>Random, and new with each change: a change names the revision that it is based on.</summary>
    public string Revision { get; init; } = "";

    /// <summary>Number of restarts that users requested.</summary>
    public int Restarts { get; init; }

    /// <summary>When it is stopped, whatever its activity; null: never.</summary>
    public DateTimeOffset? StopAt { get; init; }

    /// <summary>When it is terminated; null: never.</summary>
    public DateTimeOffset? TerminateAt { get; init; }

    /// <summary>Whether stop, restart and terminate are refused.</summary>
    public bool Locked { get; init; }

    /// <summary>The generated token of its application; never part of a response.</summary>
    public string Secret { get; init; } = "";
}
