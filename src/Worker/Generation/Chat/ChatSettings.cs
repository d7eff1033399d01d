using Sluice.Worker.Generation.Chat.ToolCalls;

namespace Sluice.Worker.Generation.Chat;

/// <summary>How a model chats.</summary>
/// <param name="Template">Writes a conversation as a prompt.</param>
/// <param name="Calls">How the model writes calls of tools.</param>
/// <param name="Reasons">Whether the model writes what it thinks before it answers.</param>
public sealed record ChatSettings(IChatTemplate Template, ToolCallFormat Calls, bool Reasons)
{
    /// <summary>Returns how a model chats by its chat template.</summary>
    /// <param name="source">The templates of the model.</param>
    /// <param name="specialTokens">The special tokens of the model.</param>
    /// <exception cref="Jinja.TemplateException">The template is not valid.</exception>
    public static ChatSettings Create(ChatTemplateSource source, IReadOnlyList<string> specialTokens)
    {
        var format = ToolCallFormats.Detect(source.ForTools ?? source.Default, specialTokens);
        var reasons = format == ToolCallFormat.Harmony
            || source.Default.Contains("<think>", StringComparison.Ordinal);
        return new ChatSettings(new ChatTemplate(source, specialTokens), format, reasons);
    }
}
