using System.Text.Json;
using Sluice.Worker.Generation.Constraints.Grammars;

namespace Sluice.Worker.Generation.Constraints.Schemas;

/// <summary>
/// Compiles JSON schemas to rules of a grammar: each text that the rules accept satisfies the schema, but not each
/// valid text is accepted. Properties have the order of the schema, and there are no properties that it does not name.
/// A keyword that is not supported is an error with its path.
/// </summary>
internal sealed class SchemaCompiler
{
    // The nesting of one schema in another.
    private const int MaxDepth = 200;

    private readonly GrammarBuilder grammar;
    private readonly JsonElement root;
    private readonly string rootPath;
    private readonly Dictionary<string, int> references = [];
    private readonly ObjectRules objects;
    private readonly ArrayRules arrays;
    private readonly NumberRules numbers;
    private readonly StringRules strings;
    private int depth;

    /// <param name="grammar">The grammar to which rules are added.</param>
    /// <param name="root">The schema, to which <c>$ref</c> refers.</param>
    /// <param name="rootPath">Where the schema is in the request, for errors.</param>
    public SchemaCompiler(GrammarBuilder grammar, JsonElement root, string rootPath)
    {
        this.grammar = grammar;
        this.root = root;
        this.rootPath = rootPath;
        objects = new ObjectRules(grammar, Compile);
        arrays = new ArrayRules(grammar, Compile);
        numbers = new NumberRules(grammar);
        strings = new StringRules(grammar);
    }

    /// <summary>Compiles the schema.</summary>
    /// <returns>The rule of its values.</returns>
    /// <exception cref="ConstraintException">The schema is not valid, too large, or not supported.</exception>
    public int Compile()
    {
        try
        {
            return Reference("#", rootPath);
        }
        catch (InvalidOperationException)
        {
            // JSON can escape half of a surrogate pair, which no string can have.
            throw new ConstraintException($"{rootPath} contains a string that is not valid Unicode.");
        }
    }

    private int Compile(JsonElement schema, string path)
    {
        if (schema.ValueKind == JsonValueKind.True) return grammar.Json.Value;
        if (schema.ValueKind == JsonValueKind.False)
            throw new ConstraintException($"{path} is false: no value satisfies it.");
        if (schema.ValueKind != JsonValueKind.Object)
            throw new ConstraintException($"{path} is not valid; expected an object with a JSON schema.");
        if (++depth > MaxDepth) throw new ConstraintException($"{path} is nested in more than {MaxDepth} schemas.");
        var rule = CompileObject(new Schema(schema, path));
        depth--;
        return rule;
    }

    private int CompileObject(Schema schema)
    {
        if (schema.Find("$ref") is { } reference)
        {
            schema.Allow("$ref");
            if (reference.ValueKind != JsonValueKind.String) throw schema.Wrong("$ref", "a string");
            return Reference(reference.GetString()!, schema.PathOf("$ref"));
        }

        if (schema.Find("const") is { } constant)
        {
            schema.Allow("const", "type");
            return new LiteralRules(grammar).Add([constant]);
        }

        if (schema.Find("enum") is { } values)
        {
            schema.Allow("enum", "type");
            return CompileEnum(schema, values);
        }

        if (schema.Find("anyOf") is { } alternatives)
        {
            schema.Allow("anyOf");
            return CompileAlternatives(alternatives, schema.PathOf("anyOf"));
        }

        if (schema.Find("allOf") is { ValueKind: JsonValueKind.Array } all && all.GetArrayLength() == 1)
        {
            schema.Allow("allOf");
            return Compile(all[0], schema.PathOf("allOf/0"));
        }

        return CompileTypes(schema);
    }

    private int CompileEnum(Schema schema, JsonElement values)
    {
        if (values.ValueKind != JsonValueKind.Array || values.GetArrayLength() == 0)
            throw schema.Wrong("enum", "a list of values");
        var types = schema.Find("type") is null ? null : SchemaTypes.Read(schema);
        var accepted = values.EnumerateArray().Where(v => types is null || SchemaTypes.Matches(types, v)).ToList();
        if (accepted.Count == 0) throw schema.Wrong("enum", "a value of the type");
        return new LiteralRules(grammar).Add(accepted);
    }

    private int CompileAlternatives(JsonElement alternatives, string path)
    {
        if (alternatives.ValueKind != JsonValueKind.Array || alternatives.GetArrayLength() == 0)
            throw new ConstraintException($"{path} is not valid; expected a list of schemas.");
        var rule = grammar.AddRule();
        var i = 0;
        foreach (var alternative in alternatives.EnumerateArray())
            grammar.AddCall(grammar.Start(rule), Compile(alternative, $"{path}/{i++}"), grammar.End(rule));
        return rule;
    }

    private int CompileTypes(Schema schema)
    {
        var types = SchemaTypes.Read(schema);
        schema.Allow([.. types.SelectMany(SchemaTypes.Keywords), "type"]);
        if (types.Count == 1) return CompileType(schema, types[0]);
        var rule = grammar.AddRule();
        foreach (var type in types)
            grammar.AddCall(grammar.Start(rule), CompileType(schema, type), grammar.End(rule));
        return rule;
    }

    private int CompileType(Schema schema, string type) => type switch
    {
        "object" => objects.Add(schema),
        "array" => arrays.Add(schema),
        "string" => strings.Add(schema),
        "number" => numbers.AddNumber(schema),
        "integer" => numbers.AddInteger(schema),
        "boolean" => new LiteralRules(grammar).AddWords("true", "false"),
        "null" => new LiteralRules(grammar).AddWords("null"),
        _ => grammar.Json.Value,
    };

    // The rule is known before its schema is compiled, so that a schema can refer to itself.
    private int Reference(string reference, string path)
    {
        if (references.TryGetValue(reference, out var known)) return known;
        var target = Resolve(reference) ??
            throw new ConstraintException(
                $"{path} is '{reference}'; expected '#' or the path of a schema in '#/$defs'.");
        var rule = grammar.AddRule();
        references.Add(reference, rule);
        var inner = Compile(target, reference == "#" ? rootPath : $"{rootPath}{reference.AsSpan(1)}");
        grammar.AddCall(grammar.Start(rule), inner, grammar.End(rule));
        return rule;
    }

    private JsonElement? Resolve(string reference)
    {
        if (reference == "#") return root;
        if (!reference.StartsWith("#/", StringComparison.Ordinal)) return null;
        var target = root;
        foreach (var part in reference[2..].Split('/'))
        {
            var name = Uri.UnescapeDataString(part).Replace("~1", "/", StringComparison.Ordinal)
                .Replace("~0", "~", StringComparison.Ordinal);
            if (target.ValueKind == JsonValueKind.Object && target.TryGetProperty(name, out var member))
                target = member;
            else if (target.ValueKind == JsonValueKind.Array && int.TryParse(name, out var index) && index >= 0 &&
                     index < target.GetArrayLength())
                target = target[index];
            else return null;
        }

        return target;
    }
}
