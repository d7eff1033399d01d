using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sluice.Gateway.OpenAi;

/// <summary>The items that preceded a response, for the OpenAPI document.</summary>
/// <param name="Data">The items of the page.</param>
/// <param name="FirstId">The id of the first one; null: there is none.</param>
/// <param name="LastId">The id of the last one, for <c>?after=</c>.</param>
/// <param name="HasMore">Whether more follow.</param>
public sealed record ListResponseItems(
    IReadOnlyList<JsonElement> Data,
    [property: JsonPropertyName("first_id")] string? FirstId,
    [property: JsonPropertyName("last_id")] string? LastId,
    [property: JsonPropertyName("has_more")] bool HasMore)
{
    /// <summary>The type of the object.</summary>
    [JsonPropertyName("object")]
    public string Type => "list";
}
