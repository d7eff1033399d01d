namespace Sluice.Worker.OpenAi;

/// <summary>A request of the OpenAI API that is not accepted.</summary>
/// <param name="message">The text for the caller; it contains field, value and what is expected.</param>
/// <param name="param">The field; null: none.</param>
/// <param name="status">HTTP status of the response.</param>
/// <param name="code">The code that clients compare, for example <c>model_not_found</c>; null: none.</param>
internal sealed class OpenAiException(string message, string? param = null, int status = 400, string? code = null)
    : Exception(message.Length > Longest ? message[..Longest] + "..." : message)
{
    /// <summary>Largest number of characters of the message. Names in a request can be as long as its body.</summary>
    private const int Longest = 2000;

    public string? Param => param;

    public int Status => status;

    public string? Code => code;
}
