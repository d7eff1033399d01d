using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Sluice.Domain.Notation;

namespace Sluice.Domain.Declarations;

/// <summary>
/// Reads declarations from JSON (the API, Redis) and from YAML converted to JSON (the manifest). Reading is strict:
/// unknown fields, missing fields and wrong types are errors with the path of the field.
/// </summary>
public static class DeclarationSerializer
{
    /// <summary>Maximum number of reported values of a wrong type.</summary>
    private const int MaxErrors = 50;

    /// <summary>Reads a declaration, or adds all its errors to <paramref name="errors"/> and returns null.</summary>
    /// <param name="node">The JSON of the declaration.</param>
    /// <param name="type">The type of the declaration.</param>
    /// <param name="path">The path of the declaration in its document; empty for the document itself.</param>
    /// <param name="errors">Receives the errors.</param>
    public static T? Read<T>(JsonNode? node, JsonTypeInfo<T> type, string path, List<FieldError> errors)
        where T : class
    {
        var before = errors.Count;
        Check(node, type, path, errors);
        if (errors.Count > before) return null;
        // The serializer stops at the first value that it cannot convert. Removes that value and reads the rest again.
        var left = node!.DeepClone();
        while (true)
        {
            try
            {
                var value = left.Deserialize(type);
                return errors.Count > before ? null : value;
            }
            catch (JsonException e)
            {
                var field = (path + (e.Path ?? "$")[1..]).TrimStart('.');
                errors.Add(new FieldError(field, Preview(GetValue(left, e.Path)), GetExpected(e)));
                if (errors.Count - before >= MaxErrors || !Remove(left, type, e.Path)) return null;
            }
        }
    }

    /// <summary>Returns the JSON text of a declaration.</summary>
    public static string Write<T>(T value, JsonTypeInfo<T> type) => JsonSerializer.Serialize(value, type);

    private static void Check(JsonNode? node, JsonTypeInfo type, string path, List<FieldError> errors)
    {
        if (type.Kind == JsonTypeInfoKind.Enumerable && node is JsonArray items)
        {
            for (var i = 0; i < items.Count; i++)
                if (items[i] is null) errors.Add(new FieldError($"{path}[{i}]", "null", "a value"));
                else Check(items[i], type.Options.GetTypeInfo(type.ElementType!), $"{path}[{i}]", errors);
            return;
        }

        if (type.Kind != JsonTypeInfoKind.Object) return;
        if (node is not JsonObject given)
        {
            errors.Add(new FieldError(path.Length > 0 ? path : "(all)", Preview(node), "an object with fields"));
            return;
        }

        foreach (var (name, value) in given)
        {
            var field = path.Length > 0 ? $"{path}.{name}" : name;
            var known = Fields(type).FirstOrDefault(p => p.Name == name);
            if (known is null) errors.Add(new FieldError(field, Preview(value), "a known field" + Suggest(name, type)));
            else if (value is null)
                errors.Add(new FieldError(field, "null", "a value (omit the field for its default)"));
            else Check(value, type.Options.GetTypeInfo(known.PropertyType), field, errors);
        }

        foreach (var missing in type.Properties.Where(p => p.IsRequired && !given.ContainsKey(p.Name)))
        {
            var field = path.Length > 0 ? $"{path}.{missing.Name}" : missing.Name;
            errors.Add(new FieldError(field, "", "a value (required)"));
        }
    }

    private static string Suggest(string name, JsonTypeInfo type)
    {
        var nearest = Fields(type).MinBy(p => EditDistance.Between(p.Name, name));
        return nearest is not null && EditDistance.Between(nearest.Name, name) <= 3
            ? $" (did you mean {nearest.Name}?)"
            : $" (known: {string.Join(", ", Fields(type).Select(p => p.Name))})";
    }

    private static JsonNode? GetValue(JsonNode? node, string? path)
    {
        foreach (var step in (path ?? "$")[1..].Split(['.', '[', ']'], StringSplitOptions.RemoveEmptyEntries))
            node = node switch
            {
                JsonObject o => o[step],
                JsonArray a when int.TryParse(step, out var i) && i < a.Count => a[i],
                _ => node,
            };
        return node;
    }

    /// <summary>
    /// Removes the value at a path from its object. Replaces a required value with an empty string. Returns false if
    /// the path does not end in a field.
    /// </summary>
    private static bool Remove(JsonNode root, JsonTypeInfo type, string? path)
    {
        var end = path?.LastIndexOf('.') ?? -1;
        if (end <= 0 || GetValue(root, path![..end]) is not JsonObject parent) return false;
        var name = path[(end + 1)..].Split('[')[0];
        var property = FindType(type, path[..end])?.Properties.FirstOrDefault(p => p.Name == name);
        if (property is not { IsRequired: true }) return parent.Remove(name);
        if (parent[name] is JsonValue value && value.TryGetValue<string>(out _)) return false;
        parent[name] = "";
        return true;
    }

    private static JsonTypeInfo? FindType(JsonTypeInfo type, string path)
    {
        var at = (JsonTypeInfo?)type;
        foreach (var step in path[1..].Split(['.', '[', ']'], StringSplitOptions.RemoveEmptyEntries))
        {
            var next = at?.Kind == JsonTypeInfoKind.Enumerable
                ? at.ElementType
                : at?.Properties.FirstOrDefault(p => p.Name == step)?.PropertyType;
            at = next is null ? null : type.Options.GetTypeInfo(next);
        }

        return at;
    }

    /// <summary>Returns the fields that a document may contain.</summary>
    private static IEnumerable<JsonPropertyInfo> Fields(JsonTypeInfo type) =>
        type.Properties.Where(p => p.Set is not null || p.Get is not null);

    private static string Preview(JsonNode? node) =>
        QuotedText.Shorten(node?.ToJsonString() ?? "null", QuotedText.MostJson);

    /// <summary>
    /// Returns the rule that a value violates. The converters of Sluice state it in the exception. For other types it
    /// follows from the type that the serializer names.
    /// </summary>
    private static string GetExpected(JsonException e)
    {
        var text = e.Message;
        var end = text.IndexOf(" Path:", StringComparison.Ordinal);
        if (end > 0) text = text[..end];
        const string prefix = "The JSON value could not be converted to ";
        if (!text.StartsWith(prefix, StringComparison.Ordinal)) return text;
        return text[prefix.Length..].TrimEnd('.') switch
        {
            "System.Int32" or "System.Int64" => "a whole number",
            "System.Double" => "a number",
            "System.Boolean" => "true or false",
            "System.String" => "a string",
            _ => "a list or object of the documented form",
        };
    }
}
