using System.Text.Json;
using Sluice.Worker.Generation;
using Sluice.Worker.Generation.Chat.ToolCalls;

namespace Sluice.Worker.OpenAi;

/// <summary>
/// The form of chat completions. In a stream, each choice has an event with the role, events with text, and an event
/// with the reason of the end.
/// </summary>
/// <param name="head">What all objects begin with.</param>
/// <param name="options">The options of the request.</param>
/// <param name="logprobs">Writes log probabilities.</param>
/// <param name="tools">How the answers use tools.</param>
internal sealed class ChatFormat(
    ResponseHead head,
    CompletionOptions options,
    LogprobsWriter logprobs,
    ToolUse tools) : IResponseFormat
{
    private const string Chunk = "chat.completion.chunk";

    /// <summary>The answers so far, by the index of the choice.</summary>
    private readonly Dictionary<int, ChatAnswer> answers = [];

    public int RepeatedCharacters => 0;

    public void Write(EventStream events, Choice choice, GeneratedPiece piece)
    {
        if (!choice.HasStarted)
        {
            choice.HasStarted = true;
            events.Write(json => WriteChunk(json, choice, null, () =>
            {
                json.WriteString("role", "assistant");
                json.WriteString("content", "");
            }));
        }

        GeneratedToken[] tokens = options.Logprobs && piece.Token is { Special: false } token ? [token] : [];
        var answer = AnswerOf(choice);
        var deltas = answer.Read(piece.Text, piece.FinishReason is not null);
        // The log probabilities of a token are sent with it, even if it adds no text yet.
        if (deltas.Count == 0 && tokens.Length > 0) deltas = [new OutputDelta(OutputDeltaKind.Text, "")];
        foreach (var delta in deltas)
        {
            events.Write(json => WriteChunk(
                json, choice, null, () => ChatAnswer.WriteDelta(json, delta), tokens));
            tokens = [];
        }

        if (piece.FinishReason is { } reason)
            events.Write(json => WriteChunk(json, choice, ReasonOf(answer, reason), () => { }));
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
            var answer = AnswerOf(choice);
            answer.Read(choice.Text.ToString(), isEnd: true);
            json.WriteStartObject();
            json.WriteNumber("index", choice.Index);
            answer.WriteMessage(json);
            WriteLogprobs(json, choice.Tokens);
            json.WriteString("finish_reason", ReasonOf(answer, choice.FinishReason));
            json.WriteEndObject();
        }

        json.WriteEndArray();
        usage.Write(json, "usage");
        json.WriteEndObject();
    }

    private ChatAnswer AnswerOf(Choice choice)
    {
        if (!answers.TryGetValue(choice.Index, out var answer))
            answers.Add(choice.Index, answer = new ChatAnswer(tools.CreateParser()));
        return answer;
    }

    /// <summary>Returns why an answer ended. A call of a tool that the request names is no reason (OpenAI).</summary>
    private string? ReasonOf(ChatAnswer answer, string? reason) =>
        answer.HasCalls && reason == "stop" && !tools.IsNamed ? "tool_calls" : reason;

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
