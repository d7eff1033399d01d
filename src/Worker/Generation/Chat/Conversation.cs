using System.Text.Json;

namespace Sluice.Worker.Generation.Chat;

/// <summary>What a chat template writes.</summary>
/// <param name="Messages">A list of messages in the form of OpenAI's chat completions.</param>
public sealed record Conversation(JsonElement Messages)
{
    /// <summary>The tools in the form of OpenAI's chat completions; null: none.</summary>
    public JsonElement? Tools { get; init; }

    /// <summary>Whether the prompt ends with the start of an assistant's message.</summary>
    public bool AddGenerationPrompt { get; init; } = true;

    /// <summary>
    /// The time for <c>strftime_now</c>; null: now. A prompt that is written again needs the same one.
    /// </summary>
    public DateTimeOffset? Time { get; init; }

    /// <summary>Further variables of the template, such as <c>enable_thinking</c>.</summary>
    public IReadOnlyDictionary<string, JsonElement> Variables { get; init; } =
        new Dictionary<string, JsonElement>();
}
