namespace Sluice.Domain.Declarations;

/// <summary>
/// The program behind the first HTTP port of a pod. It decides how idle time is measured, and which credentials the
/// gateway adds.
/// </summary>
public enum PodApplication
{
    /// <summary>A pod is active while requests or WebSocket messages of clients arrive.</summary>
    Other,

    /// <summary>
    /// Jupyter. The pod gets a generated <c>JUPYTER_TOKEN</c>, which the gateway sends with each request. A pod is
    /// active while a kernel or a terminal is (<c>/api/kernels</c>, <c>/api/terminals</c>): an open browser tab polls,
    /// so requests do not show that a person works.
    /// </summary>
    Jupyter,

    /// <summary>code-server. A pod is active while its heartbeat is recent (<c>/healthz</c>).</summary>
    CodeServer,
}
