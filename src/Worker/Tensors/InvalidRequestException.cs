namespace Sluice.Worker.Tensors;

/// <summary>
/// Thrown if the model or the protocol does not accept a client's request. The readers throw it at any depth of a
/// nested document, where a result type would have to pass through every level. The API layer converts it to one
/// error response.
/// </summary>
public sealed class InvalidRequestException(string message, int status = 400)
    : Exception(message.Length > Longest ? message[..Longest] + "..." : message)
{
    /// <summary>Largest number of characters of the message. Names in a request can be as long as its body.</summary>
    private const int Longest = 2000;

    /// <summary>HTTP status of the response.</summary>
    public int Status => status;

    /// <summary>Value of the header <c>Retry-After</c> in seconds; null: no header.</summary>
    public int? RetryAfter { get; init; }

    /// <summary>
    /// Returns the error of a request for which a queue has no room. Its caller can retry after one second: a place is
    /// free as soon as a request ends.
    /// </summary>
    public static InvalidRequestException QueueFull(string message) => new(message, 503) { RetryAfter = 1 };
}
