using System.Text.Json;

namespace Sluice.Worker.OpenAi;

/// <summary>Number of tokens of a response.</summary>
/// <param name="Prompt">Tokens of the prompts. A prompt of several texts counts once.</param>
/// <param name="Completion">Generated tokens of all texts.</param>
/// <param name="Cached">Tokens of the prompts that were not read, because the cache contained them.</param>
internal readonly record struct Usage(int Prompt, int Completion, int Cached)
{
    /// <summary>Writes the object.</summary>
    public void Write(Utf8JsonWriter json, string name)
    {
        json.WriteStartObject(name);
        json.WriteNumber("prompt_tokens", Prompt);
        json.WriteNumber("completion_tokens", Completion);
        json.WriteNumber("total_tokens", Prompt + Completion);
        json.WriteStartObject("prompt_tokens_details");
        json.WriteNumber("cached_tokens", Cached);
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
