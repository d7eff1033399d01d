using System.Net;

namespace Sluice.Core.Workers.Docker;

/// <summary>The Docker daemon said no, or nothing.</summary>
/// <param name="message">In words for operators.</param>
/// <param name="status">What it answered; null: it did not.</param>
/// <param name="cause">What happened underneath.</param>
public sealed class EngineException(string message, HttpStatusCode? status, Exception? cause = null) : InvalidOperationException(message, cause)
{
    public HttpStatusCode? Status { get; } = status;

    /// <summary>Nothing answered: whether it acted is not known.</summary>
    public bool IsDown => Status is null;
}
