namespace Sluice.Gateway.Responses;

/// <summary>A request of a response that is not valid, or that the gateway cannot translate.</summary>
/// <param name="param">The field.</param>
/// <param name="message">Field, value and expected value.</param>
/// <param name="status">The HTTP status.</param>
internal sealed class ResponseFaultException(string param, string message, int status = 400) : Exception(message)
{
    /// <summary>The field, for the error response; null: the whole body.</summary>
    public string? Param => param.Length > 0 ? param : null;

    /// <summary>The HTTP status.</summary>
    public int Status => status;
}
