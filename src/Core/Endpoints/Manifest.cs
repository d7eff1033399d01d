using System.Globalization;
using System.Text.Json.Nodes;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Sluice.Core.Endpoints;

/// <summary>Reads a manifest (YAML) into declarations, or says every error with its line.</summary>
public static class Manifest
{
    /// <summary>Deepest nesting read; a manifest needs four levels.</summary>
    private const int MaxDepth = 16;

    public static (ManifestFile? File, IReadOnlyList<FieldError> Errors) Parse(string yaml)
    {
        YamlNode root;
        JsonNode? json;
        try
        {
            var stream = new YamlStream();
            stream.Load(new StringReader(yaml));
            if (stream.Documents.Count == 0) return (new ManifestFile(), []);
            root = stream.Documents[0].RootNode;
            if (root is YamlScalarNode { Value: null or "" }) return (new ManifestFile(), []);
            json = ToJson(root, 0);
        }
        catch (YamlException e)
        {
            return (null, [new FieldError("(file)", "", $"YAML: {e.Message}", (int)e.Start.Line)]);
        }

        var errors = new List<FieldError>();
        var file = Declarations.Read(json, DeclarationJson.ManifestFile, "", errors);
        if (file is not null) errors.AddRange(EndpointRules.Check(file));
        return errors.Count == 0 ? (file, []) : (null, errors.ConvertAll(e => e with { Line = LineOf(root, e.Field) }));
    }

    private static JsonNode? ToJson(YamlNode node, int depth)
    {
        if (depth > MaxDepth) throw new YamlException(node.Start, node.End, $"nested deeper than {MaxDepth}");
        return node switch
        {
            YamlMappingNode map => new JsonObject(map.Children.Select(c => KeyValuePair.Create(
                (c.Key as YamlScalarNode)?.Value ?? throw new YamlException(c.Key.Start, c.Key.End, "a key must be a word"),
                ToJson(c.Value, depth + 1)))),
            YamlSequenceNode list => new JsonArray([.. list.Children.Select(c => ToJson(c, depth + 1))]),
            YamlScalarNode scalar => Scalar(scalar),
            _ => null,
        };
    }

    private static JsonValue? Scalar(YamlScalarNode scalar)
    {
        var text = scalar.Value ?? "";
        if (scalar.Style != ScalarStyle.Plain) return JsonValue.Create(text);
        return text switch
        {
            "" or "null" or "~" => null,
            "true" => JsonValue.Create(true),
            "false" => JsonValue.Create(false),
            _ when long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var n)
                => JsonValue.Create(n),
            _ => JsonValue.Create(text),
        };
    }

    /// <summary>The line of the deepest part of a field's path that exists.</summary>
    private static int LineOf(YamlNode node, string field)
    {
        var line = node.Start.Line;
        foreach (var step in field.Split(['.', '[', ']'], StringSplitOptions.RemoveEmptyEntries))
        {
            var next = node switch
            {
                YamlMappingNode map => map.Children
                    .FirstOrDefault(c => (c.Key as YamlScalarNode)?.Value == step).Value,
                YamlSequenceNode list when int.TryParse(step, out var i) && i < list.Children.Count => list.Children[i],
                _ => null,
            };
            if (next is null) break;
            node = next;
            line = node.Start.Line;
        }

        return (int)line;
    }
}
