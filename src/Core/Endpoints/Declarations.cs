using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Sluice.Core.Endpoints;

/// <summary>A field that a declaration has wrong.</summary>
/// <param name="Field">Its path, <c>endpoints[0].scaling.min</c>.</param>
/// <param name="Value">What was given, as JSON; empty when it is missing.</param>
/// <param name="Expected">What would be right.</param>
/// <param name="Line">Line in the file it came from, 1-based; 0: not from a file.</param>
public sealed record FieldError(string Field, string Value, string Expected, int Line = 0)
{
    public override string ToString() => (Line > 0 ? $"line {Line}: " : "")
        + (Value.Length > 0 ? $"{Field} is {Value}, expected {Expected}" : $"{Field}: expected {Expected}");
}

/// <summary>
/// Reads what operators declare, from JSON (the API, Redis) and from YAML turned into JSON (the manifest), strictly:
/// unknown fields, missing ones and wrong types are errors with the field's path.
/// </summary>
public static class Declarations
{
    /// <summary>Values of a wrong type that one reading reports.</summary>
    private const int MaxErrors = 50;

    public static T? Read<T>(JsonNode? node, JsonTypeInfo<T> type, string path, List<FieldError> errors)
        where T : class
    {
        var before = errors.Count;
        Check(node, type, path, errors);
        if (errors.Count > before) return null;
        // The serializer stops at the first value that it cannot convert: that value is removed, and the rest is read again.
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
                errors.Add(new FieldError(field, Shown(At(left, e.Path)), Wanted(e)));
                if (errors.Count - before >= MaxErrors || !Remove(left, type, e.Path)) return null;
            }
        }
    }

    /// <summary>JSON text of a declaration.</summary>
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
            errors.Add(new FieldError(path.Length > 0 ? path : "(all)", Shown(node), "an object with fields"));
            return;
        }

        foreach (var (name, value) in given)
        {
            var field = path.Length > 0 ? $"{path}.{name}" : name;
            var known = Fields(type).FirstOrDefault(p => p.Name == name);
            if (known is null) errors.Add(new FieldError(field, Shown(value), "no such field" + Nearest(name, type)));
            else if (value is null) errors.Add(new FieldError(field, "null", "a value, or the field left out"));
            else Check(value, type.Options.GetTypeInfo(known.PropertyType), field, errors);
        }

        foreach (var missing in type.Properties.Where(p => p.IsRequired && !given.ContainsKey(p.Name)))
            errors.Add(new FieldError(path.Length > 0 ? $"{path}.{missing.Name}" : missing.Name, "", "a value: it is required"));
    }

    private static string Nearest(string name, JsonTypeInfo type)
    {
        var nearest = Fields(type).MinBy(p => EditDistance.Between(p.Name, name));
        return nearest is not null && EditDistance.Between(nearest.Name, name) <= 3
            ? $" (did you mean {nearest.Name}?)"
            : $" (known: {string.Join(", ", Fields(type).Select(p => p.Name))})";
    }

    private static JsonNode? At(JsonNode? node, string? path)
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

    /// <summary>Removes the value at a path from its object; a required one becomes an empty text. False: the path does not end in a field.</summary>
    private static bool Remove(JsonNode root, JsonTypeInfo type, string? path)
    {
        var end = path?.LastIndexOf('.') ?? -1;
        if (end <= 0 || At(root, path![..end]) is not JsonObject parent) return false;
        var name = path[(end + 1)..].Split('[')[0];
        if (TypeAt(type, path[..end])?.Properties.FirstOrDefault(p => p.Name == name) is not { IsRequired: true }) return parent.Remove(name);
        if (parent[name] is JsonValue value && value.TryGetValue<string>(out _)) return false;
        parent[name] = "";
        return true;
    }

    private static JsonTypeInfo? TypeAt(JsonTypeInfo type, string path)
    {
        var at = (JsonTypeInfo?)type;
        foreach (var step in path[1..].Split(['.', '[', ']'], StringSplitOptions.RemoveEmptyEntries))
        {
            var next = at?.Kind == JsonTypeInfoKind.Enumerable ? at.ElementType : at?.Properties.FirstOrDefault(p => p.Name == step)?.PropertyType;
            at = next is null ? null : type.Options.GetTypeInfo(next);
        }

        return at;
    }

    /// <summary>The fields that a document may have.</summary>
    private static IEnumerable<JsonPropertyInfo> Fields(JsonTypeInfo type) => type.Properties.Where(p => p.Set is not null || p.Get is not null);

    private static string Shown(JsonNode? node)
    {
        var text = node?.ToJsonString() ?? "null";
        return text.Length <= 80 ? text : text[..77] + "...";
    }

    /// <summary>Our converters say what they want; for the serializer's own types the path says what is meant.</summary>
    private static string Wanted(JsonException e)
    {
        var text = e.Message;
        var end = text.IndexOf(" Path:", StringComparison.Ordinal);
        if (end > 0) text = text[..end];
        const string could = "The JSON value could not be converted to ";
        if (!text.StartsWith(could, StringComparison.Ordinal)) return text;
        return text[could.Length..].TrimEnd('.') switch
        {
            "System.Int32" or "System.Int64" => "a whole number",
            "System.Double" => "a number",
            "System.Boolean" => "true or false",
            "System.String" => "a string",
            _ => "a list or object of the documented form",
        };
    }
}

/// <summary>What a manifest file holds.</summary>
public sealed record ManifestFile
{
    /// <summary>Which of <c>templates</c> and <c>endpoints</c> the file does not have.</summary>
    [JsonIgnore]
    public IReadOnlyList<string> Omitted { get; init; } = [];

    /// <summary>Its last line is YAML's document end marker <c>...</c>. A file that had one and has none is truncated.</summary>
    [JsonIgnore]
    public bool EndsWithMarker { get; init; }

    public IReadOnlyList<Template> Templates { get; init; } = [];

    public IReadOnlyList<Endpoint> Endpoints { get; init; } = [];
}

/// <summary>
/// How declarations are written as JSON. By reflection: source-generated code sets init-only properties that a document
/// leaves out to null instead of keeping their defaults (github.com/dotnet/runtime/issues/84484).
/// </summary>
public static class DeclarationJson
{
    private static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        TypeInfoResolver = new DefaultJsonTypeInfoResolver(),
        Converters =
        {
            new DurationConverter(), new SizeConverter(), new ScalerConverter(), new PauseConverter(), new ProtocolConverter(), new PullPolicyConverter(),
            new EnvConverter(),
        },
    };

    public static JsonTypeInfo<ManifestFile> ManifestFile { get; } = (JsonTypeInfo<ManifestFile>)Options.GetTypeInfo(typeof(ManifestFile));

    public static JsonTypeInfo<Template> Template { get; } = (JsonTypeInfo<Template>)Options.GetTypeInfo(typeof(Template));

    public static JsonTypeInfo<Endpoint> Endpoint { get; } = (JsonTypeInfo<Endpoint>)Options.GetTypeInfo(typeof(Endpoint));
}
