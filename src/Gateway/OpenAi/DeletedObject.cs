using System.Text.Json.Serialization;

namespace Sluice.Gateway.OpenAi;

/// <summary>The response to a deletion.</summary>
/// <param name="Id">The id.</param>
/// <param name="Type">The type of the object.</param>
/// <param name="Deleted">Always true.</param>
public sealed record DeletedObject(string Id, [property: JsonPropertyName("object")] string Type, bool Deleted = true);
