namespace Sluice.Worker.Generation.Chat.ToolCalls;

/// <summary>Finds the format of a model, and reads it.</summary>
public static class ToolCallFormats
{
    /// <summary>Returns the format of a model by its template and special tokens; Hermes if neither has one.</summary>
    /// <param name="template">The chat template.</param>
    /// <param name="specialTokens">The special tokens.</param>
    public static ToolCallFormat Detect(string template, IReadOnlyList<string> specialTokens)
    {
        if (Has("<tool_call>")) return ToolCallFormat.Hermes;
        if (Has("<|channel|>")) return ToolCallFormat.Harmony;
        if (Has("<｜tool▁calls▁begin｜>")) return ToolCallFormat.DeepSeek;
        if (Has("<|python_tag|>")) return ToolCallFormat.Llama;
        return Has("<start_of_turn>") ? ToolCallFormat.Gemma : ToolCallFormat.Hermes;

        bool Has(string text) => template.Contains(text, StringComparison.Ordinal) || specialTokens.Contains(text);
    }

    /// <summary>Returns a parser for one answer.</summary>
    /// <param name="format">The format of the model.</param>
    /// <param name="createId">Returns the id of a new call, such as <c>call_</c> and random letters.</param>
    public static ToolCallParser CreateParser(ToolCallFormat format, Func<string> createId) => format switch
    {
        ToolCallFormat.Hermes => new HermesParser(createId),
        ToolCallFormat.DeepSeek => new DeepSeekParser(createId),
        ToolCallFormat.Harmony => new HarmonyParser(createId),
        _ => new JsonAnswerParser(createId),
    };
}
