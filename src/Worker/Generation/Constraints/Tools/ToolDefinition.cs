using System.Text.Json;
using Sluice.Worker.Generation.Constraints.Grammars;

namespace Sluice.Worker.Generation.Constraints.Tools;

/// <summary>A tool that a model can call.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Parameters">The JSON schema of its arguments; null: any object.</param>
/// <param name="IsStrict">Whether the arguments must follow the schema, also if it has unsupported keywords.</param>
/// <param name="Path">Where the schema is in the request, for errors.</param>
public sealed record ToolDefinition(string Name, JsonElement? Parameters, bool IsStrict, string Path)
{
    private const int MaxTools = 128;

    /// <summary>Reads the tools of a request, in the form of OpenAI's chat completions.</summary>
    /// <param name="tools">The list of tools.</param>
    /// <exception cref="ConstraintException">The list does not have this form.</exception>
    public static IReadOnlyList<ToolDefinition> ReadAll(JsonElement tools)
    {
        if (tools.ValueKind != JsonValueKind.Array || tools.GetArrayLength() > MaxTools)
            throw new ConstraintException($"tools is not valid; expected a list of at most {MaxTools} tools.");
        var result = new List<ToolDefinition>();
        foreach (var tool in tools.EnumerateArray())
        {
            var definition = Read(tool, $"tools[{result.Count}].function");
            if (result.Exists(t => t.Name == definition.Name))
                throw new ConstraintException($"tools has several tools with the name '{definition.Name}'.");
            result.Add(definition);
        }

        return result;
    }

    private static ToolDefinition Read(JsonElement tool, string path)
    {
        if (tool.ValueKind != JsonValueKind.Object || !tool.TryGetProperty("function", out var function) ||
            function.ValueKind != JsonValueKind.Object)
            throw new ConstraintException($"{path} is not valid; expected an object.");
        if (!function.TryGetProperty("name", out var name) || name.ValueKind != JsonValueKind.String ||
            !IsName(name.GetRawText().Trim('"')))
            throw new ConstraintException(
                $"{path}.name is not valid; expected 1 to 64 letters, digits, underscores or hyphens.");
        var parameters = function.TryGetProperty("parameters", out var given) &&
            given.ValueKind != JsonValueKind.Null ? given : (JsonElement?)null;
        var isStrict = function.TryGetProperty("strict", out var strict) && strict.ValueKind == JsonValueKind.True;
        return new ToolDefinition(name.GetString()!, parameters, isStrict, $"{path}.parameters");
    }

    private static bool IsName(string name) =>
        name.Length is > 0 and <= 64 && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-');
}
