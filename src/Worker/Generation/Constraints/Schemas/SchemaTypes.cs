using System.Text.Json;
using Sluice.Worker.Generation.Constraints.Grammars;

namespace Sluice.Worker.Generation.Constraints.Schemas;

/// <summary>The types of JSON schemas.</summary>
internal static class SchemaTypes
{
    /// <summary>Stands for any value, if a schema has no type and no keyword of one.</summary>
    public const string Any = "any";

    private static readonly Dictionary<string, string[]> KeywordsByType = new()
    {
        ["object"] = ["properties", "required", "additionalProperties"],
        ["array"] = ["items", "minItems", "maxItems"],
        ["string"] = ["minLength", "maxLength", "pattern", "format"],
        ["number"] = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"],
        ["integer"] = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"],
        ["boolean"] = [],
        ["null"] = [],
        [Any] = [],
    };

    /// <summary>Returns the keywords of a type.</summary>
    public static string[] Keywords(string type) => KeywordsByType[type];

    /// <summary>
    /// Returns the types of a schema. Without <c>type</c>, it is the type that has the keywords of the schema.
    /// </summary>
    /// <exception cref="ConstraintException">A type does not exist.</exception>
    public static IReadOnlyList<string> Read(Schema schema)
    {
        if (schema.Find("type") is not { } type)
            return [KeywordsByType.FirstOrDefault(t => t.Value.Any(k => schema.Find(k) is not null)).Key ?? Any];
        List<string?> names = type.ValueKind switch
        {
            JsonValueKind.String => [type.GetString()],
            JsonValueKind.Array => [.. type.EnumerateArray().Select(Name)],
            _ => [null],
        };
        if (names.Count == 0 || names.Exists(n => n is null or Any || !KeywordsByType.ContainsKey(n)))
            throw schema.Wrong("type", "object, array, string, number, integer, boolean, null, or a list of them");
        return [.. names.Distinct()!];
    }

    /// <summary>Returns whether a value has one of some types.</summary>
    public static bool Matches(IReadOnlyList<string> types, JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => types.Contains("object"),
        JsonValueKind.Array => types.Contains("array"),
        JsonValueKind.String => types.Contains("string"),
        JsonValueKind.True or JsonValueKind.False => types.Contains("boolean"),
        JsonValueKind.Null => types.Contains("null"),
        _ => types.Contains("number") ||
            (types.Contains("integer") && value.GetDouble() == Math.Truncate(value.GetDouble())),
    };

    private static string? Name(JsonElement type) =>
        type.ValueKind == JsonValueKind.String ? type.GetString() : null;
}
