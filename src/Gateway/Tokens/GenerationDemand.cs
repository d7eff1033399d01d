using System.Buffers;
using System.Text.Json;

namespace Sluice.Gateway.Tokens;

/// <summary>
/// What a request may use, by its body: an estimate of the prompt, and what it allows to generate. Only the worker
/// knows the tokens of a text, so the prompt is estimated, and settled later.
/// </summary>
/// <param name="Prompt">Estimated tokens of the prompts.</param>
/// <param name="MaxTokens">Declared tokens of one text; null: the request declares none.</param>
/// <param name="Texts">Number of texts to generate.</param>
public readonly record struct GenerationDemand(long Prompt, long? MaxTokens, long Texts)
{
    /// <summary>Tokens of prompts that are lists of tokens, which are not estimated.</summary>
    public long Exact { get; init; }

    /// <summary>
    /// Bytes of text of a token. English has about 4 (platform.openai.com/tokenizer), Chinese about 3, code 3 to 4.
    /// </summary>
    public const int BytesOfToken = 3;

    /// <summary>Tokens around a message of a chat: its role and its ends.</summary>
    public const int MessageTokens = 4;

    /// <summary>Tokens of an image that the request contains.</summary>
    public const int ImageTokens = 1000;

    private const int MaxDepth = 256;

    /// <summary>Reads a body. A body that is not a JSON object declares nothing; its worker rejects it.</summary>
    /// <param name="body">The whole body.</param>
    public static GenerationDemand Read(ReadOnlySequence<byte> body)
    {
        var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = MaxDepth });
        var scan = default(Scan);
        try
        {
            while (reader.Read()) scan.Add(ref reader);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return new GenerationDemand(body.Length / BytesOfToken, null, 1);
        }

        return scan.Result;
    }

    /// <summary>The tokens to generate for all texts.</summary>
    /// <param name="assumed">The tokens of a text for which the request declares none.</param>
    public long Generated(long assumed) => Math.Min(int.MaxValue, Texts * (MaxTokens ?? assumed));

    private struct Scan
    {
        private long bytes, around, exact;
        private long? maxTokens, texts;
        private string? field, name;
        private bool inArray;

        public readonly GenerationDemand Result => new(
            exact + around + ((bytes + BytesOfToken - 1) / BytesOfToken), maxTokens, Math.Clamp(texts ?? 1, 1, 1024))
        {
            Exact = exact,
        };

        public void Add(ref Utf8JsonReader reader)
        {
            switch (reader.TokenType)
            {
                case JsonTokenType.PropertyName:
                    name = reader.GetString();
                    if (reader.CurrentDepth > 1) break;
                    (field, inArray) = (name, false);
                    break;
                case JsonTokenType.StartArray when reader.CurrentDepth == 1:
                    inArray = true;
                    break;
                case JsonTokenType.StartObject when reader.CurrentDepth == 2 && field == "messages":
                    around += MessageTokens;
                    break;
                case JsonTokenType.Number when inArray:
                    exact += field is "prompt" or "input" ? 1 : 0;
                    break;
                case JsonTokenType.Number when field is "n" && reader.CurrentDepth == 1:
                    texts = reader.TryGetInt64(out var n) ? n : null;
                    break;
                case JsonTokenType.Number when IsMaxTokens(ref reader):
                    if (reader.TryGetInt64(out var most) && most >= 0) maxTokens = Math.Min(maxTokens ?? most, most);
                    break;
                case JsonTokenType.String when field != "model":
                    AddText(ref reader);
                    break;
            }
        }

        /// <summary>Also <c>parameters.max_tokens</c> of Triton's generate extension.</summary>
        private readonly bool IsMaxTokens(ref Utf8JsonReader reader) =>
            (reader.CurrentDepth == 1 || (reader.CurrentDepth == 2 && field == "parameters"))
            && name is "max_tokens" or "max_completion_tokens" or "max_output_tokens";

        private void AddText(ref Utf8JsonReader reader)
        {
            var length = reader.HasValueSequence ? reader.ValueSequence.Length : reader.ValueSpan.Length;
            Span<byte> start = stackalloc byte[5];
            if (length >= start.Length)
            {
                if (reader.HasValueSequence) reader.ValueSequence.Slice(0, start.Length).CopyTo(start);
                else reader.ValueSpan[..start.Length].CopyTo(start);
            }

            if (start.SequenceEqual("data:"u8)) around += ImageTokens;
            else bytes += length;
        }
    }
}
