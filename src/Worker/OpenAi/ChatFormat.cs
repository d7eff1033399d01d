using System.Text.Json;
using Sluice.Worker.Generation;

namespace Sluice.Worker.OpenAi;

/// <summary>
/// The form of chat completions. In a stream, each choice has an event with the role, events with text, and an event
/// with the reason of the end.
/// </summary>
/// <param name="head">What all objects begin with.</param>
/// <param name="options">The options of the request.</param>
/// <param name="logprobs">Writes log probabilities.</param>
internal sealed class ChatFormat(ResponseHead head, CompletionOptions options, LogprobsWriter logprobs)
    : IResponseFormat
{
    private const string Chunk = "chat.completion.chunk";

    public async Task SendAsync(EventStream events, Choice choice, GeneratedPiece piece)
    {
        if (!choice.HasStarted)
        {
            choice.HasStarted = true;
            await events.SendAsync(json => WriteChunk(json, choice, null, () =>
            {
                json.WriteString("role", "assistant");
                json.WriteString("content", "");
            }));
        }

        GeneratedToken[] tokens = options.Logprobs && piece.Token is { Special: false } token ? [token] : [];
        if (piece.Text.Length > 0 || tokens.Length > 0)
            await events.SendAsync(json => WriteChunk(
                json, choice, null, () => json.WriteString("content", piece.Text), tokens));
        if (piece.FinishReason is { } reason)
            await events.SendAsync(json => WriteChunk(json, choice, reason, () => { }));
    }

    public void WriteUsageEvent(Utf8JsonWriter json, Usage usage)
    {
        json.WriteStartObject();
        head.Write(json, Chunk);
        json.WriteStartArray("choices");
        json.WriteEndArray();
        usage.Write(json, "usage");
        json.WriteEndObject();
    }

    public void WriteWhole(Utf8JsonWriter json, IReadOnlyList<Choice> choices, Usage usage)
    {
        json.WriteStartObject();
        head.Write(json, "chat.completion");
        json.WriteStartArray("choices");
        foreach (var choice in choices)
        {
            json.WriteStartObject();
            json.WriteNumber("index", choice.Index);
            json.WriteStartObject("message");
            json.WriteString("role", "assistant");
            json.WriteString("content", choice.Text.ToString());
            json.WriteNull("refusal");
            json.WriteEndObject();
            WriteLogprobs(json, choice.Tokens);
            json.WriteString("finish_reason", choice.FinishReason);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        usage.Write(json, "usage");
        json.WriteEndObject();
    }

    private void WriteChunk(
        Utf8JsonWriter json,
        Choice choice,
        string? reason,
        Action writeDelta,
        IReadOnlyList<GeneratedToken>? tokens = null)
    {
        json.WriteStartObject();
        head.Write(json, Chunk);
        json.WriteStartArray("choices");
        json.WriteStartObject();
        json.WriteNumber("index", choice.Index);
        json.WriteStartObject("delta");
        writeDelta();
        json.WriteEndObject();
        WriteLogprobs(json, tokens ?? []);
        json.WriteString("finish_reason", reason);
        json.WriteEndObject();
        json.WriteEndArray();
        if (options.IncludeUsage) json.WriteNull("usage");
        json.WriteEndObject();
    }

    private void WriteLogprobs(Utf8JsonWriter json, IReadOnlyList<GeneratedToken> tokens)
    {
        if (options.Logprobs && tokens.Count > 0) logprobs.WriteChat(json, tokens);
        else json.WriteNull("logprobs");
    }
}
