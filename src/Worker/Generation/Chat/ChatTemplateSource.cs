using System.Text.Json;
using Sluice.Worker.Generation.Chat.Jinja;

namespace Sluice.Worker.Generation.Chat;

/// <summary>
/// The chat templates of a model folder, as Hugging Face stores them: <c>chat_template.jinja</c>, or else
/// <c>chat_template</c> in <c>tokenizer_config.json</c>, which is a template or a list of named ones.
/// </summary>
/// <param name="Default">The template.</param>
/// <param name="ForTools">The template for conversations with tools; null: the same one.</param>
/// <param name="TokenVariables">The special tokens that templates use, such as <c>bos_token</c>.</param>
public sealed record ChatTemplateSource(
    string Default,
    string? ForTools,
    IReadOnlyDictionary<string, string> TokenVariables)
{
    /// <summary>Reads the templates of a folder.</summary>
    /// <returns>The templates; null if the folder has none.</returns>
    /// <exception cref="TemplateException">The files do not have the form of Hugging Face.</exception>
    public static ChatTemplateSource? Read(string folder)
    {
        var config = Path.Combine(folder, "tokenizer_config.json");
        var file = Path.Combine(folder, "chat_template.jinja");
        var template = File.Exists(file) ? File.ReadAllText(file) : null;
        return Parse(File.Exists(config) ? File.ReadAllText(config) : "{}", template);
    }

    /// <summary>Reads the templates of a configuration.</summary>
    /// <param name="config">The text of <c>tokenizer_config.json</c>.</param>
    /// <param name="template">The text of <c>chat_template.jinja</c>; null: there is no such file.</param>
    /// <returns>The templates; null if there are none.</returns>
    /// <exception cref="TemplateException">The texts do not have the form of Hugging Face.</exception>
    public static ChatTemplateSource? Parse(string config, string? template)
    {
        try
        {
            using var document = JsonDocument.Parse(config);
            var root = document.RootElement;
            var named = ReadTemplates(root);
            if (template is null && named.Count == 0) return null;
            var chosen = template ?? named.GetValueOrDefault("default") ?? named.Values.First();
            var forTools = template is null ? named.GetValueOrDefault("tool_use") : null;
            return new ChatTemplateSource(chosen, forTools, ReadTokens(root));
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            throw new TemplateException(
                TemplateErrorKind.Syntax,
                $"tokenizer_config.json does not have the form of Hugging Face: {e.Message}");
        }
    }

    private static Dictionary<string, string> ReadTemplates(JsonElement root)
    {
        if (!root.TryGetProperty("chat_template", out var template) || template.ValueKind == JsonValueKind.Null)
            return [];
        if (template.ValueKind == JsonValueKind.String) return new() { ["default"] = template.GetString()! };
        var named = new Dictionary<string, string>();
        foreach (var entry in template.EnumerateArray())
            named[entry.GetProperty("name").GetString()!] = entry.GetProperty("template").GetString()!;
        return named;
    }

    // A token is a string, or an object with its properties.
    private static Dictionary<string, string> ReadTokens(JsonElement root)
    {
        var tokens = new Dictionary<string, string>();
        foreach (var property in root.EnumerateObject())
        {
            if (!property.Name.EndsWith("_token", StringComparison.Ordinal)) continue;
            var value = property.Value;
            if (value.ValueKind == JsonValueKind.Object && value.TryGetProperty("content", out var content))
                value = content;
            if (value.ValueKind == JsonValueKind.String) tokens[property.Name] = value.GetString()!;
        }

        return tokens;
    }
}
