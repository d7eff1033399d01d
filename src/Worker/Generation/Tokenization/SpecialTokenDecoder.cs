namespace Sluice.Worker.Generation.Tokenization;

/// <summary>
/// Converts the tokens of a text with the special tokens among them, because formats of tool calls consist of them.
/// Tokens that end a text have no text.
/// </summary>
/// <param name="tokenizer">The tokenizer.</param>
internal sealed class SpecialTokenDecoder(ITokenizer tokenizer) : ITokenDecoder
{
    private readonly ITokenDecoder decoder = tokenizer.CreateDecoder();

    public string Push(int token) =>
        tokenizer.IsSpecial(token) && !tokenizer.IsEnd(token) ? tokenizer.TextOf(token) : decoder.Push(token);

    public string Finish() => decoder.Finish();
}
