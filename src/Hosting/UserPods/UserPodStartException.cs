namespace Sluice.Hosting.UserPods;

/// <summary>
/// The host refused to start a pod. Other exceptions of a host mean that it does not respond now, so that nothing is
/// known about the pod.
/// </summary>
/// <param name="message">The reason and what to change, for users.</param>
/// <param name="canRetry">Whether a repetition without a change can succeed.</param>
/// <param name="cause">The underlying failure.</param>
public sealed class UserPodStartException(string message, bool canRetry = false, Exception? cause = null)
    : InvalidOperationException(message, cause)
{
    /// <summary>Whether a repetition without a change can succeed.</summary>
    public bool CanRetry { get; } = canRetry;
}
