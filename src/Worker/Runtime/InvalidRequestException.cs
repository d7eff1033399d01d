namespace Sluice.Worker.Runtime;

/// <summary>
/// The client sent what the model or the protocol cannot take. Thrown deep inside the readers, where a result type would
/// have to pass through every level of a nested document, and turned into one answer at the edge.
/// </summary>
public sealed class InvalidRequestException(string message, int status = 400)
    : Exception(message.Length > Longest ? message[..Longest] + "..." : message)
{
    /// <summary>Characters of what is told: names in a request may be as long as its body.</summary>
    private const int Longest = 2000;

    /// <summary>HTTP status of the answer.</summary>
    public int Status => status;
}
