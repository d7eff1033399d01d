namespace Sluice.Hosting.Kubernetes;

/// <summary>The API server does not answer now, so nothing is known about the result of a call.</summary>
/// <param name="reason">Why.</param>
/// <param name="cause">The underlying failure.</param>
internal sealed class KubernetesUnavailableException(string reason, Exception? cause = null)
    : InvalidOperationException($"Kubernetes does not respond: {reason}", cause);
