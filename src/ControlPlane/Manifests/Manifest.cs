using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Sluice.Domain.Declarations;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Sluice.ControlPlane.Manifests;

/// <summary>
/// Reads a manifest (YAML) into declarations, or returns every error with its line. A file without content is an error:
/// a failed editor or copy leaves such a file, and it would delete all declarations.
/// </summary>
public static partial class Manifest
{
    /// <summary>Maximum nesting depth; a manifest needs 4 levels.</summary>
    private const int MaxDepth = 16;

    /// <summary>Maximum number of values, with those that aliases repeat.</summary>
    private const int MaxNodes = 1_000_000;

    private static readonly string[] Sections = ["templates", "endpoints"];

    /// <summary>Reads and validates a manifest.</summary>
    /// <param name="yaml">The text.</param>
    /// <param name="variables">
    /// Returns the value of a variable (<see cref="Variables"/>), or null; null: there are none.
    /// </param>
    /// <param name="beside">Declarations that remain beside those of the manifest; null: none.</param>
    /// <returns>The declarations, or null and all errors.</returns>
    public static (ManifestFile? File, IReadOnlyList<FieldError> Errors) Parse(
        string yaml, Func<string, string?>? variables = null, EndpointCatalog? beside = null)
    {
        YamlNode root;
        JsonNode? json;
        var (errors, unset) = (new List<FieldError>(), new List<FieldError>());
        try
        {
            CheckNesting(yaml);
            var stream = new YamlStream();
            stream.Load(new StringReader(yaml));
            if (stream.Documents.Count == 0 || stream.Documents[0].RootNode is YamlScalarNode { Value: null or "" })
                return (null, [new FieldError("(file)", "empty", "'templates' and 'endpoints'; "
                    + "to delete all declarations of the manifest, write 'templates: []' and 'endpoints: []'")]);
            if (stream.Documents.Count > 1)
            {
                var second = (int)stream.Documents[1].RootNode.Start.Line;
                return (null, [new FieldError("(file)", $"{stream.Documents.Count} YAML documents", "one", second)]);
            }

            root = stream.Documents[0].RootNode;
            json = ToJson(root, 0, "", new VariableReader(variables ?? (_ => null), unset));
        }
        catch (YamlException e)
        {
            var line = (int)e.Start.Line;
            return (null, [new FieldError("(file)", $"invalid YAML ({e.Message})", "a YAML document", line)]);
        }

        var file = DeclarationSerializer.Read(json, DeclarationJson.ManifestFile, "", errors);
        if (file is not null)
        {
            file = file with
            {
                Omitted = [.. Sections.Where(s => !json!.AsObject().ContainsKey(s))],
                EndsWithMarker = EndMarker().IsMatch(yaml),
            };
            errors.AddRange(EndpointRules.Check(file, beside));
        }

        // What a missing variable would be is not an error of its own.
        errors.RemoveAll(e => unset.Exists(u => u.Field == e.Field));
        errors.InsertRange(0, unset);
        return errors.Count == 0
            ? (file, [])
            : (null, errors.ConvertAll(e => e with { Line = LineOf(root, e.Field) }));
    }

    /// <summary>Rejects deep nesting before the parser builds nodes, because that recursion has no limit.</summary>
    private static void CheckNesting(string yaml)
    {
        var parser = new Parser(new StringReader(yaml));
        for (var depth = 0; parser.MoveNext();)
        {
            depth += parser.Current!.NestingIncrease;
            // The stream and the document are levels too.
            if (depth > MaxDepth + 3)
                throw new YamlException(
                    parser.Current.Start, parser.Current.End, $"The nesting is deeper than {MaxDepth} levels.");
        }
    }

    private static JsonNode? ToJson(YamlNode node, int depth, string path, VariableReader variables)
    {
        // An alias stands for all nodes of its anchor, so a few lines can stand for billions.
        if (++variables.Nodes > MaxNodes)
            throw new YamlException(node.Start, node.End, $"The manifest has more than {MaxNodes} values.");
        if (depth > MaxDepth)
            throw new YamlException(node.Start, node.End, $"The nesting is deeper than {MaxDepth} levels.");
        return node switch
        {
            YamlMappingNode map => new JsonObject(map.Children.Select(c =>
            {
                var name = (c.Key as YamlScalarNode)?.Value
                    ?? throw new YamlException(c.Key.Start, c.Key.End, "A key is not a scalar; expected a word.");
                var field = path.Length > 0 ? $"{path}.{name}" : name;
                return KeyValuePair.Create(name, ToJson(c.Value, depth + 1, field, variables));
            })),
            YamlSequenceNode list => new JsonArray(
                [.. list.Children.Select((c, i) => ToJson(c, depth + 1, $"{path}[{i}]", variables))]),
            YamlScalarNode scalar => Scalar(scalar.Value ?? "", variables.Read(scalar.Value ?? "", path), scalar.Style),
            _ => null,
        };
    }

    private static JsonValue? Scalar(string source, string text, ScalarStyle style)
    {
        // A variable that is empty is an empty text, and not the absence of a value.
        if (style != ScalarStyle.Plain || (text.Length == 0 && source.Length > 0)) return JsonValue.Create(text);
        return text switch
        {
            "" or "null" or "~" => null,
            "true" => JsonValue.Create(true),
            "false" => JsonValue.Create(false),
            // "007" is a text: as a number it would be another value.
            _ when long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var n)
                && n.ToString(CultureInfo.InvariantCulture) == text => JsonValue.Create(n),
            _ => JsonValue.Create(text),
        };
    }

    /// <summary>Returns the line of the deepest existing part of a field's path.</summary>
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

    /// <summary>YAML's document end marker as the last line with content (YAML 1.2.2, section 9.1.2).</summary>
    [GeneratedRegex(@"^\.\.\.[ \t]*(#.*)?\s*\z", RegexOptions.Multiline)]
    private static partial Regex EndMarker();

    /// <summary>Replaces variables. A text with a variable that it cannot replace remains, and is reported.</summary>
    private sealed class VariableReader(Func<string, string?> lookup, List<FieldError> errors)
    {
        /// <summary>Number of nodes that were read.</summary>
        public int Nodes { get; set; }

        public string Read(string text, string field)
        {
            var (missing, invalid) = (new List<string>(), new List<string>());
            var result = Variables.Expand(
                text, name => Variables.IsReserved(name) ? null : lookup(name), missing, invalid);
            errors.AddRange(missing.Select(name => new FieldError(field, $"${{{name}}}",
                Variables.IsReserved(name)
                    ? "a variable whose name does not begin with SLUICE_, because the API shows its value "
                        + "(${secret:NAME} is for secrets)"
                    : $"a variable with a value, or a default: ${{{name}:-default}}")));
            errors.AddRange(invalid.Select(reference => new FieldError(field, reference,
                "${NAME}, ${NAME:-default}, ${secret:NAME}, or $${ for the text ${")));
            return missing.Count + invalid.Count > 0 ? text : result;
        }
    }
}
