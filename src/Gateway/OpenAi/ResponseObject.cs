using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sluice.Gateway.OpenAi;

/// <summary>
/// The main fields of a response, for the OpenAPI document. <see cref="Responses.ResponseAssembler"/> makes it. It also
/// repeats the fields of its request.
/// </summary>
/// <param name="Id">The id.</param>
/// <param name="Status">
/// <c>queued</c>, <c>in_progress</c>, <c>completed</c>, <c>incomplete</c>, <c>failed</c> or <c>cancelled</c>.
/// </param>
/// <param name="Model">The model.</param>
/// <param name="Output">The items: messages, calls of functions and reasoning.</param>
public sealed record ResponseObject(string Id, string Status, string Model, IReadOnlyList<JsonElement> Output)
{
    /// <summary>The type of the object.</summary>
    [JsonPropertyName("object")]
    public string Type => "response";

    /// <summary>When it was created, in seconds since 1970.</summary>
    [JsonPropertyName("created_at")]
    public long CreatedAt { get; init; }

    /// <summary>Why it failed; null: it did not.</summary>
    public ResponseObjectError? Error { get; init; }

    /// <summary>The tokens of input and output; null before the end.</summary>
    public JsonElement? Usage { get; init; }

    /// <summary>Whether it is stored.</summary>
    public bool Store { get; init; }
}

/// <summary>Why a response failed.</summary>
/// <param name="Code">The machine-readable code.</param>
/// <param name="Message">The error text.</param>
public sealed record ResponseObjectError(string Code, string Message);
