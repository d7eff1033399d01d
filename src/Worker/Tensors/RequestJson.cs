using System.Text.Json;

namespace Sluice.Worker.Tensors;

/// <summary>Options and errors that all readers of request JSON have in common.</summary>
internal static class RequestJson
{
    /// <summary>Options for all readers of a request. The maximum depth is the same as Triton's.</summary>
    public static JsonReaderOptions Options => new() { MaxDepth = 100 };

    /// <summary>
    /// Creates the error for a syntax error, with its position. The document is read again from the start, because
    /// the first pass skips lists of numbers and positions after them are wrong.
    /// </summary>
    /// <param name="json">The document.</param>
    /// <param name="found">The error of the first pass.</param>
    public static InvalidRequestException Syntax(ReadOnlySpan<byte> json, JsonException found)
    {
        if (json.IsEmpty) return new InvalidRequestException("The request body is empty; expected a JSON object.");
        try
        {
            var reader = new Utf8JsonReader(BareNumbers.Blank(json), Options);
            while (reader.Read())
            {
                // Reads until the error.
            }
        }
        catch (JsonException e)
        {
            found = e;
        }

        return new InvalidRequestException($"failed to parse the request JSON at line {found.LineNumber + 1}, byte "
            + $"{found.BytePositionInLine + 1}: {found.Message.Split(" LineNumber")[0]}");
    }

    /// <summary>The hint to the correct paths if the body of a job is sent as an inference or a generation.</summary>
    public const string JobHint =
        "the body has 'input', which is a field of jobs: send it to POST /v2/{endpoint}/run or /v2/{endpoint}/runsync";

    /// <summary>
    /// Returns the hint to the correct path for a body of another API, with a leading "; ", or an empty text.
    /// </summary>
    /// <param name="hasInput">The body has the key <c>input</c>.</param>
    /// <param name="hasModel">The body has the key <c>model</c>.</param>
    /// <param name="hasMessages">The body has the key <c>messages</c>.</param>
    public static string HintFor(bool hasInput, bool hasModel, bool hasMessages) =>
        (hasInput, hasModel, hasMessages) switch
        {
            (_, _, true) => "; the body has 'messages', which is a field of chats: send it to "
                + "POST /v1/chat/completions",
            (true, true, _) => "; the body has 'model' and 'input', which are fields of embeddings: send it to "
                + "POST /v1/embeddings",
            (true, false, _) => $"; {JobHint}",
            _ => "",
        };

    /// <summary>The error for half a surrogate pair or for bytes that are not UTF-8.</summary>
    public static InvalidRequestException NotUtf8() => new("The request JSON contains text that is not valid UTF-8.");

    /// <summary>The error for a body that is not a JSON object.</summary>
    public static InvalidRequestException NotAnObject() => new("The request body must be a JSON object.");

    /// <summary>The error for data after the JSON object.</summary>
    public static InvalidRequestException TrailingData() => new("The request body has data after its JSON object.");

    /// <summary>The error for an input with two values.</summary>
    public static InvalidRequestException DuplicateInput(string name) =>
        new($"Input '{name}' is specified twice; expected each input once.");
}
