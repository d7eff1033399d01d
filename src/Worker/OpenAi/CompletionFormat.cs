using System.Text.Json;
using Sluice.Worker.Generation;

namespace Sluice.Worker.OpenAi;

/// <summary>The form of completions.</summary>
/// <param name="head">What all objects begin with.</param>
/// <param name="options">The options of the request.</param>
/// <param name="logprobs">Writes log probabilities.</param>
/// <param name="echoes">The prompts, by the index of the choice, if the response repeats them; else empty.</param>
internal sealed class CompletionFormat(
    ResponseHead head,
    CompletionOptions options,
    LogprobsWriter logprobs,
    IReadOnlyList<string> echoes) : IResponseFormat
{
    private const string Type = "text_completion";

    public int RepeatedCharacters => echoes.Select(e => e.Length).DefaultIfEmpty(0).Max();

    public void Write(EventStream events, Choice choice, GeneratedPiece piece)
    {
        var text = piece.Text;
        if (!choice.HasStarted) text = EchoOf(choice) + text;
        choice.HasStarted = true;
        GeneratedToken[] tokens = options.Logprobs && piece.Token is { Special: false } token ? [token] : [];
        if (text.Length == 0 && tokens.Length == 0 && piece.FinishReason is null) return;
        events.Write(json =>
        {
            json.WriteStartObject();
            head.Write(json, Type);
            json.WriteStartArray("choices");
            WriteChoice(json, choice, text, piece.FinishReason, tokens, choice.Text.Length - piece.Text.Length);
            json.WriteEndArray();
            if (options.IncludeUsage) json.WriteNull("usage");
            json.WriteEndObject();
        });
    }

    public void WriteUsageEvent(Utf8JsonWriter json, Usage usage)
    {
        json.WriteStartObject();
        head.Write(json, Type);
        json.WriteStartArray("choices");
        json.WriteEndArray();
        usage.Write(json, "usage");
        json.WriteEndObject();
    }

    public void WriteWhole(Utf8JsonWriter json, IReadOnlyList<Choice> choices, Usage usage)
    {
        json.WriteStartObject();
        head.Write(json, Type);
        json.WriteStartArray("choices");
        foreach (var choice in choices)
            WriteChoice(json, choice, EchoOf(choice) + choice.Text, choice.FinishReason, choice.Tokens, 0);
        json.WriteEndArray();
        usage.Write(json, "usage");
        json.WriteEndObject();
    }

    private string EchoOf(Choice choice) => choice.Index < echoes.Count ? echoes[choice.Index] : "";

    private void WriteChoice(
        Utf8JsonWriter json,
        Choice choice,
        string text,
        string? reason,
        IReadOnlyList<GeneratedToken> tokens,
        int offset)
    {
        json.WriteStartObject();
        json.WriteNumber("index", choice.Index);
        json.WriteString("text", text);
        if (options.Logprobs && tokens.Count > 0)
            logprobs.WriteCompletion(json, tokens, EchoOf(choice).Length + offset);
        else json.WriteNull("logprobs");
        json.WriteString("finish_reason", reason);
        json.WriteEndObject();
    }
}
