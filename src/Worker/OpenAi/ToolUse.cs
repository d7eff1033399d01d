using System.Text.Json;
using Sluice.Worker.Generation;
using Sluice.Worker.Generation.Chat;
using Sluice.Worker.Generation.Chat.ToolCalls;
using Sluice.Worker.Generation.Constraints;
using Sluice.Worker.Generation.Constraints.Grammars;
using Sluice.Worker.Generation.Constraints.Tools;

namespace Sluice.Worker.OpenAi;

/// <summary>How a chat completion uses tools.</summary>
/// <param name="Tools">The tools for the chat template; null: none.</param>
/// <param name="Format">How the model writes calls.</param>
/// <param name="Constraint">What the answer must be, if it must call a tool; null: anything.</param>
/// <param name="IsNamed">Whether the request names the tool, so that calls are not the reason of the end.</param>
internal sealed record ToolUse(JsonElement? Tools, ToolCallFormat Format, OutputConstraint? Constraint, bool IsNamed)
{
    /// <summary>
    /// Whether answers are parsed. The models with channels also write answers without calls in their format.
    /// </summary>
    public bool Parses => Tools is not null || Format == ToolCallFormat.Harmony;

    /// <summary>Returns a parser for one answer; null: all of it is text.</summary>
    public ToolCallParser? CreateParser() =>
        Parses ? ToolCallFormats.CreateParser(Format, () => $"call_{Guid.NewGuid():N}") : null;

    /// <summary>Reads <c>tools</c>, <c>tool_choice</c> and <c>parallel_tool_calls</c>.</summary>
    /// <exception cref="OpenAiException">400: a field is not valid, or a strict schema is not supported.</exception>
    public static ToolUse Read(RequestFields fields, StructuredOutput compiler, ChatSettings chat)
    {
        var format = chat.Calls;
        var choice = fields.Find("tool_choice");
        var none = new ToolUse(null, format, null, false);
        if (fields.Find("tools") is not { } tools || IsEmpty(tools))
            return choice is null or { ValueKind: JsonValueKind.String }
                ? none
                : throw fields.Invalid("tool_choice", choice.Value, "no value, because there are no tools");
        try
        {
            var definitions = ToolDefinition.ReadAll(tools);
            var several = fields.Flag("parallel_tool_calls", defaultValue: true);
            var text = choice is { ValueKind: JsonValueKind.String } ? choice.Value.GetString() : null;
            if (choice is null || text == "auto") return new ToolUse(tools, format, null, false);
            if (text == "none") return none;
            if (text == "required")
                return new ToolUse(tools, format, Compile(definitions, several), false);
            var named = definitions.Where(t => t.Name == NameOf(choice.Value)).ToList();
            return named.Count == 1
                ? new ToolUse(tools, format, Compile(named, false), true)
                : throw fields.Invalid(
                    "tool_choice", choice.Value, "auto, none, required, or an object that names one of the tools");

            OutputConstraint Compile(IReadOnlyList<ToolDefinition> callable, bool allowsSeveral) =>
                compiler.CompileToolCalls(format, callable, allowsSeveral, chat.Reasons);
        }
        catch (ConstraintException e)
        {
            throw new OpenAiException(e.Message, "tools");
        }
    }

    private static bool IsEmpty(JsonElement tools) =>
        tools.ValueKind == JsonValueKind.Array && tools.GetArrayLength() == 0;

    private static string? NameOf(JsonElement choice) => choice.ValueKind == JsonValueKind.Object
        && choice.TryGetProperty("function", out var function) && function.ValueKind == JsonValueKind.Object
        && function.TryGetProperty("name", out var name) && name.ValueKind == JsonValueKind.String
            ? name.GetString()
            : null;
}
