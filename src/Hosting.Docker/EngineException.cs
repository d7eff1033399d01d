using System.Net;

namespace Sluice.Hosting.Docker;

/// <summary>The Docker daemon rejected a call, or did not respond.</summary>
/// <param name="message">The problem, for operators.</param>
/// <param name="status">The status of the response; null if there was none.</param>
/// <param name="cause">The underlying failure.</param>
public sealed class EngineException(string message, HttpStatusCode? status, Exception? cause = null)
    : InvalidOperationException(message, cause)
{
    public HttpStatusCode? Status { get; } = status;

    /// <summary>Whether the daemon did not respond; it may have executed the call nevertheless.</summary>
    public bool IsDown => Status is null;
}
