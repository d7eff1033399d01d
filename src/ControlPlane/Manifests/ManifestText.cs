using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Sluice.ControlPlane.Manifests;

/// <summary>
/// Writes declarations as a manifest in YAML. <see cref="Manifest"/> reads the same declarations from it.
/// </summary>
public static partial class ManifestText
{
    /// <summary>Returns the text, with the end marker.</summary>
    public static string Write(JsonObject manifest)
    {
        using var writer = new StringWriter(CultureInfo.InvariantCulture) { NewLine = "\n" };
        new YamlStream(new YamlDocument(ToYaml(manifest))).Save(writer, assignAnchors: false);
        var text = writer.ToString();
        return text.EndsWith("...\n", StringComparison.Ordinal) ? text : text + "...\n";
    }

    private static YamlNode ToYaml(JsonNode? node) => node switch
    {
        null => new YamlScalarNode("null"),
        JsonObject o => new YamlMappingNode(o.Select(m =>
            KeyValuePair.Create<YamlNode, YamlNode>(new YamlScalarNode(m.Key), ToYaml(m.Value)))),
        JsonArray a => new YamlSequenceNode(a.Select(ToYaml)),
        _ when node.GetValueKind() == JsonValueKind.String => Text(node.GetValue<string>()),
        _ => new YamlScalarNode(node.ToJsonString()),
    };

    /// <summary>
    /// Quotes texts that would be read as something else. A text with <c>${</c> is not a variable of the manifest,
    /// because it was declared, except for references to secrets.
    /// </summary>
    private static YamlScalarNode Text(string text) =>
        new(DoubledReference().Replace(text.Replace("${", "$${", StringComparison.Ordinal), "${secret:"))
        { Style = IsPlain(text) ? ScalarStyle.Plain : ScalarStyle.DoubleQuoted };

    private static bool IsPlain(string text) => text.Length > 0
        && char.IsAsciiLetter(text[0]) && text is not ("true" or "false" or "null")
        && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or '/');

    /// <summary>A reference to a secret after doubling, unless it was doubled before.</summary>
    [GeneratedRegex(@"(?<!\$)\$\$\{secret:")]
    private static partial Regex DoubledReference();
}
