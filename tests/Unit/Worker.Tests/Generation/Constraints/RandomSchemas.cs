using System.Text.Json.Nodes;

namespace Sluice.Worker.Tests.Generation.Constraints;

/// <summary>Makes JSON schemas of the supported subset at random.</summary>
internal sealed class RandomSchemas(int seed)
{
    private static readonly string[] Names =
        ["name", "a", "b\"c", "é", "items", "x y", "\\", "", "type", "👍", "aa", "name2"];

    private readonly Random random = new(seed);

    /// <summary>Returns a schema.</summary>
    public JsonObject Next()
    {
        var schema = Object(3, canRefer: true);
        schema["$defs"] = new JsonObject { ["leaf"] = Scalar(), ["tree"] = Tree() };
        return schema;
    }

    private JsonObject Tree() => new()
    {
        ["type"] = "object",
        ["properties"] = new JsonObject
        {
            ["value"] = Scalar(),
            ["children"] = new JsonObject
            {
                ["type"] = "array",
                ["items"] = Reference("#/$defs/tree"),
                ["maxItems"] = 2,
            },
            ["parent"] = new JsonObject { ["anyOf"] = new JsonArray(Reference("#/$defs/tree"), Type("null")) },
        },
        ["required"] = new JsonArray("value", "children", "parent"),
        ["additionalProperties"] = false,
    };

    private JsonObject Any(int depth)
    {
        if (depth <= 0) return Scalar();
        return random.Next(9) switch
        {
            0 or 1 => Object(depth - 1, canRefer: true),
            2 or 3 => Array(depth - 1),
            4 => new JsonObject { ["anyOf"] = new JsonArray(Any(depth - 1), Any(depth - 1), Scalar()) },
            5 => Reference(Pick(["#/$defs/leaf", "#/$defs/tree"])),
            6 => new JsonObject { ["type"] = "object", ["additionalProperties"] = Scalar() },
            _ => Scalar(),
        };
    }

    private JsonObject Object(int depth, bool canRefer)
    {
        var properties = new JsonObject();
        var required = new JsonArray();
        for (var i = random.Next(5); i >= 0; i--)
        {
            var name = Pick(Names);
            if (properties.ContainsKey(name)) continue;
            properties.Add(name, canRefer ? Any(depth) : Scalar());
            if (Chance(0.6)) required.Add(name);
        }

        return new JsonObject
        {
            ["type"] = "object",
            ["description"] = "An object",
            ["properties"] = properties,
            ["required"] = required,
            ["additionalProperties"] = false,
        };
    }

    private JsonObject Array(int depth)
    {
        var array = new JsonObject { ["type"] = "array", ["items"] = Any(depth) };
        var min = random.Next(3);
        if (Chance(0.5)) array["minItems"] = min;
        if (Chance(0.5)) array["maxItems"] = min + random.Next(3);
        return array;
    }

    private JsonObject Scalar() => random.Next(11) switch
    {
        0 => Type("boolean"),
        1 => Type("null"),
        2 => Bounded("integer", -20, 2000),
        3 => Bounded("number", -3, 50),
        4 => Length(),
        5 => new JsonObject
        {
            ["enum"] = new JsonArray("red", "green", "re", 5, null, 1.5, "\n\"", new JsonArray(1, "x")),
        },
        6 => new JsonObject { ["const"] = Chance(0.5) ? "fixed" : new JsonObject { ["a"] = 1 } },
        7 => new JsonObject { ["type"] = new JsonArray("string", "null", "integer") },
        8 => Type("integer"),
        9 => Type("number"),
        _ => Type("string"),
    };

    private JsonObject Bounded(string type, int low, int high)
    {
        var schema = Type(type);
        var (min, max) = (random.Next(low, high), random.Next(low, high));
        if (min > max) (min, max) = (max, min);
        if (min == max) max++;
        if (Chance(0.7)) schema[Chance(0.7) ? "minimum" : "exclusiveMinimum"] = min;
        if (Chance(0.7)) schema[Chance(0.7) ? "maximum" : "exclusiveMaximum"] = max + 2;
        return schema;
    }

    private JsonObject Length()
    {
        var schema = Type("string");
        var min = random.Next(6);
        if (Chance(0.7)) schema["minLength"] = min;
        if (Chance(0.7)) schema["maxLength"] = min + random.Next(20);
        return schema;
    }

    private static JsonObject Type(string type) => new() { ["type"] = type };

    private static JsonObject Reference(string target) => new() { ["$ref"] = target };

    private string Pick(string[] from) => from[random.Next(from.Length)];

    private bool Chance(double probability) => random.NextDouble() < probability;
}
