using System.Text.Json;
using Sluice.Worker.Generation.Constraints.Grammars;

namespace Sluice.Worker.Generation.Constraints.Schemas;

/// <summary>Adds rules for objects.</summary>
/// <param name="grammar">The grammar.</param>
/// <param name="compile">Compiles the schema of a property.</param>
internal sealed class ObjectRules(GrammarBuilder grammar, Func<JsonElement, string, int> compile)
{
    private static readonly JsonElement AnyValue = JsonElement.Parse("true");

    /// <summary>Adds a rule.</summary>
    public int Add(Schema schema)
    {
        var properties = ReadProperties(schema);
        var required = ReadRequired(schema);
        var additional = schema.Find("additionalProperties");
        foreach (var name in required.Where(r => !properties.ContainsKey(r)))
        {
            if (additional is { ValueKind: JsonValueKind.False })
                throw schema.Wrong("required", $"only names of properties, not '{name}'");
            properties.Add(name, additional ?? AnyValue);
        }

        if (properties.Count > 0) return AddProperties(schema, properties, required);
        switch (additional?.ValueKind)
        {
            case null or JsonValueKind.True:
                return grammar.Json.Object;
            case JsonValueKind.False:
                return AddProperties(schema, properties, required);
            default:
                var rule = grammar.AddRule(isContainer: true);
                grammar.Json.AddMap(rule, compile(additional.Value, schema.PathOf("additionalProperties")));
                return rule;
        }
    }

    private static OrderedDictionary<string, JsonElement> ReadProperties(Schema schema)
    {
        var properties = new OrderedDictionary<string, JsonElement>();
        if (schema.Find("properties") is not { } value) return properties;
        if (value.ValueKind != JsonValueKind.Object) throw schema.Wrong("properties", "an object");
        foreach (var property in value.EnumerateObject()) properties[property.Name] = property.Value;
        return properties;
    }

    private static HashSet<string> ReadRequired(Schema schema)
    {
        if (schema.Find("required") is not { } value) return [];
        if (value.ValueKind != JsonValueKind.Array ||
            value.EnumerateArray().Any(name => name.ValueKind != JsonValueKind.String))
            throw schema.Wrong("required", "a list of names");
        return [.. value.EnumerateArray().Select(name => name.GetString()!)];
    }

    // Before each property there are two states: without and with a property before it.
    private int AddProperties(
        Schema schema, OrderedDictionary<string, JsonElement> properties, HashSet<string> required)
    {
        var rule = grammar.AddRule(isContainer: true);
        var open = grammar.AddState();
        grammar.AddBytes(grammar.Start(rule), '{', '{', open);
        int? first = grammar.AfterCall(open, grammar.Json.Space);
        int? later = null;
        foreach (var (name, property) in properties)
        {
            var after = grammar.AddState();
            var start = AddProperty(name, compile(property, $"{schema.PathOf("properties")}/{name}"), after);
            if (first is { } f) grammar.AddEmpty(f, start);
            if (later is { } l)
            {
                var comma = grammar.AddState();
                grammar.AddBytes(l, ',', ',', comma);
                grammar.AddCall(comma, grammar.Json.Space, start);
            }

            if (required.Contains(name)) (first, later) = (null, after);
            else
            {
                if (later is { } skipped) grammar.AddEmpty(skipped, after);
                later = after;
            }
        }

        Close(rule, first, later);
        return rule;
    }

    private int AddProperty(string name, int value, int after)
    {
        var start = grammar.AddState();
        var colon = grammar.AddState();
        grammar.AddBytes(grammar.AddText(start, LiteralRules.WriteString(name)), ':', ':', colon);
        grammar.AddCall(grammar.AfterCall(colon, grammar.Json.Space), value, after);
        return start;
    }

    private void Close(int rule, int? first, int? later)
    {
        var end = grammar.AddState();
        grammar.AddBytes(end, '}', '}', grammar.End(rule));
        // The space before the first property was read already.
        if (first is { } f) grammar.AddEmpty(f, end);
        if (later is { } l) grammar.AddCall(l, grammar.Json.Space, end);
    }
}
