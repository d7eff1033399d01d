using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Sluice.Core.Endpoints;

/// <summary>Reads a manifest (YAML) into declarations, or returns every error with its line. A file without content is an error: an editor or a
/// copy that failed leaves one, and it would delete everything that is declared.</summary>
public static partial class Manifest
{
    /// <summary>Deepest nesting read; a manifest needs four levels.</summary>
    private const int MaxDepth = 16;

    private static readonly string[] Sections = ["templates", "endpoints"];

    public static (ManifestFile? File, IReadOnlyList<FieldError> Errors) Parse(string yaml)
    {
        YamlNode root;
        JsonNode? json;
        try
        {
            var stream = new YamlStream();
            stream.Load(new StringReader(yaml));
            if (stream.Documents.Count == 0 || stream.Documents[0].RootNode is YamlScalarNode { Value: null or "" })
                return (null, [new FieldError("(file)", "empty", "'templates' and 'endpoints'; to delete what it declared, write 'templates: []' and 'endpoints: []'")]);
            if (stream.Documents.Count > 1)
                return (null, [new FieldError("(file)", $"{stream.Documents.Count} YAML documents", "one", (int)stream.Documents[1].RootNode.Start.Line)]);
            root = stream.Documents[0].RootNode;
            json = ToJson(root, 0);
        }
        catch (YamlException e)
        {
            return (null, [new FieldError("(file)", "", $"YAML: {e.Message}", (int)e.Start.Line)]);
        }

        var errors = new List<FieldError>();
        var file = Declarations.Read(json, DeclarationJson.ManifestFile, "", errors);
        if (file is not null)
        {
            file = file with { Omitted = [.. Sections.Where(s => !json!.AsObject().ContainsKey(s))], EndsWithMarker = EndMarker().IsMatch(yaml) };
            errors.AddRange(EndpointRules.Check(file));
        }

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

    /// <summary>YAML's document end marker as the last line with content (YAML 1.2.2, 9.1.2).</summary>
    [GeneratedRegex(@"^\.\.\.[ \t]*(#.*)?\s*\z", RegexOptions.Multiline)]
    private static partial Regex EndMarker();
}
