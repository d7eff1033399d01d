using System.Text.Json;
using Sluice.Worker.Generation;
using Sluice.Worker.Generation.Tokenization;

namespace Sluice.Worker.OpenAi;

/// <summary>Writes log probabilities of tokens, in the form of chat completions and in that of completions.</summary>
/// <param name="tokenizer">The tokenizer of the model.</param>
internal sealed class LogprobsWriter(ITokenizer tokenizer)
{
    /// <summary>Writes <c>logprobs</c> of a chat completion.</summary>
    public void WriteChat(Utf8JsonWriter json, IEnumerable<GeneratedToken> tokens)
    {
        json.WriteStartObject("logprobs");
        json.WriteStartArray("content");
        foreach (var token in tokens)
        {
            json.WriteStartObject();
            WriteToken(json, token.Id, token.Logprob);
            json.WriteStartArray("top_logprobs");
            foreach (var (id, logprob) in token.Top)
            {
                json.WriteStartObject();
                WriteToken(json, id, logprob);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteNull("refusal");
        json.WriteEndObject();
    }

    /// <summary>Writes <c>logprobs</c> of a completion.</summary>
    /// <param name="json">The output.</param>
    /// <param name="tokens">The tokens.</param>
    /// <param name="offset">Number of characters of the text before the tokens.</param>
    public void WriteCompletion(Utf8JsonWriter json, IReadOnlyList<GeneratedToken> tokens, int offset)
    {
        json.WriteStartObject("logprobs");
        json.WriteStartArray("tokens");
        foreach (var token in tokens) json.WriteStringValue(token.Text);
        json.WriteEndArray();
        json.WriteStartArray("token_logprobs");
        foreach (var token in tokens) json.WriteNumberValue(token.Logprob);
        json.WriteEndArray();
        json.WriteStartArray("top_logprobs");
        foreach (var token in tokens)
        {
            json.WriteStartObject();
            // Tokens without a text of their own can have equal texts; an object has each name once.
            foreach (var (text, logprob) in token.Top
                .Select(t => (Text: tokenizer.TextOf(t.Id), t.Logprob)).DistinctBy(t => t.Text))
                json.WriteNumber(text, logprob);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("text_offset");
        foreach (var token in tokens)
        {
            json.WriteNumberValue(offset);
            offset += token.Text.Length;
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private void WriteToken(Utf8JsonWriter json, int id, float logprob)
    {
        json.WriteString("token", tokenizer.TextOf(id));
        json.WriteNumber("logprob", logprob);
        json.WriteStartArray("bytes");
        foreach (var value in tokenizer.BytesOf(id)) json.WriteNumberValue(value);
        json.WriteEndArray();
    }
}
