using System.Text;
using System.Text.Json;
using Sluice.Worker.Generation.Chat.ToolCalls;

namespace Sluice.Worker.OpenAi;

/// <summary>One answer of a chat completion: text, reasoning and calls of tools.</summary>
/// <param name="parser">Separates the parts; null: all of it is text.</param>
internal sealed class ChatAnswer(ToolCallParser? parser)
{
    private readonly StringBuilder text = new();
    private readonly StringBuilder reasoning = new();
    private readonly List<(OutputDelta Start, StringBuilder Arguments)> calls = [];

    /// <summary>Whether the answer calls a tool.</summary>
    public bool HasCalls => calls.Count > 0;

    /// <summary>Adds more of the generated text, and returns what it adds to the answer.</summary>
    /// <param name="piece">The generated text.</param>
    /// <param name="isEnd">Whether it is the last piece.</param>
    public IReadOnlyList<OutputDelta> Read(string piece, bool isEnd)
    {
        List<OutputDelta> deltas = parser is null
            ? piece.Length > 0 ? [new OutputDelta(OutputDeltaKind.Text, piece)] : []
            : [.. parser.Append(piece), .. isEnd ? parser.Complete() : []];
        foreach (var delta in deltas) Add(delta);
        return deltas;
    }

    /// <summary>Writes the message of the whole answer.</summary>
    public void WriteMessage(Utf8JsonWriter json)
    {
        json.WriteStartObject("message");
        json.WriteString("role", "assistant");
        if (HasCalls && text.Length == 0) json.WriteNull("content");
        else json.WriteString("content", text.ToString());
        json.WriteNull("refusal");
        if (reasoning.Length > 0) json.WriteString("reasoning_content", reasoning.ToString());
        if (HasCalls)
        {
            json.WriteStartArray("tool_calls");
            foreach (var (start, arguments) in calls)
            {
                json.WriteStartObject();
                WriteCall(json, start, arguments.ToString());
                json.WriteEndObject();
            }

            json.WriteEndArray();
        }

        json.WriteEndObject();
    }

    /// <summary>
    /// Writes the fields of a delta. The id and the name of a call are sent once, because clients join all texts
    /// (openai-python, accumulate_delta).
    /// </summary>
    public static void WriteDelta(Utf8JsonWriter json, OutputDelta delta)
    {
        if (delta.Kind == OutputDeltaKind.Text) json.WriteString("content", delta.Text);
        else if (delta.Kind == OutputDeltaKind.Reasoning) json.WriteString("reasoning_content", delta.Text);
        else
        {
            json.WriteStartArray("tool_calls");
            json.WriteStartObject();
            json.WriteNumber("index", delta.Index);
            if (delta.Kind == OutputDeltaKind.CallStart) WriteCall(json, delta, "");
            else
            {
                json.WriteStartObject("function");
                json.WriteString("arguments", delta.Text);
                json.WriteEndObject();
            }

            json.WriteEndObject();
            json.WriteEndArray();
        }
    }

    private static void WriteCall(Utf8JsonWriter json, OutputDelta start, string arguments)
    {
        json.WriteString("id", start.Id);
        json.WriteString("type", "function");
        json.WriteStartObject("function");
        json.WriteString("name", start.Name);
        json.WriteString("arguments", arguments);
        json.WriteEndObject();
    }

    private void Add(OutputDelta delta)
    {
        switch (delta.Kind)
        {
            case OutputDeltaKind.Text:
                text.Append(delta.Text);
                break;
            case OutputDeltaKind.Reasoning:
                reasoning.Append(delta.Text);
                break;
            case OutputDeltaKind.CallStart:
                calls.Add((delta, new StringBuilder()));
                break;
            default:
                calls[delta.Index].Arguments.Append(delta.Text);
                break;
        }
    }
}
