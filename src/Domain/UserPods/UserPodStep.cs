namespace Sluice.Domain.UserPods;

/// <summary>The next step of a pod.</summary>
/// <param name="Action">What is done.</param>
/// <param name="State">The state that is stored before it is done.</param>
/// <param name="Goal">
/// The new goal, if the pod cannot or must not run any longer; null: the goal does not change. Its cause is the reason
/// of the state.
/// </param>
public sealed record UserPodStep(UserPodAction Action, UserPodState State, UserPodGoal? Goal = null);
