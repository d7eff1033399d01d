using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Sluice.Worker.Generation.Constraints.Grammars;

namespace Sluice.Worker.Generation.Constraints.Schemas;

/// <summary>Adds rules that accept fixed values. Values with a common start share its states.</summary>
/// <param name="grammar">The grammar.</param>
internal sealed class LiteralRules(GrammarBuilder grammar)
{
    private static readonly JsonWriterOptions Compact = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Adds a rule for values.</summary>
    public int Add(IEnumerable<JsonElement> values) => Add(values.Select(Write));

    /// <summary>Adds a rule for words such as <c>true</c>.</summary>
    public int AddWords(params string[] words) => Add(words.Select(Encoding.UTF8.GetBytes));

    /// <summary>Returns the JSON of a string.</summary>
    public static byte[] WriteString(string text) => Write(writer => writer.WriteStringValue(text));

    private static byte[] Write(JsonElement value) => Write(value.WriteTo);

    private static byte[] Write(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, Compact)) write(writer);
        return buffer.WrittenSpan.ToArray();
    }

    private int Add(IEnumerable<byte[]> texts)
    {
        var rule = grammar.AddRule();
        var edges = new Dictionary<(int, byte), int>();
        foreach (var text in texts)
        {
            var state = grammar.Start(rule);
            foreach (var value in text)
            {
                if (!edges.TryGetValue((state, value), out var next))
                {
                    next = grammar.AddState();
                    edges.Add((state, value), next);
                    grammar.AddBytes(state, value, value, next);
                }

                state = next;
            }

            grammar.AddEmpty(state, grammar.End(rule));
        }

        return rule;
    }
}
