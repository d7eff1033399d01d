namespace Sluice.Worker.Generation.Tokenization;

/// <summary>Converts between text and the tokens of a model. Thread-safe.</summary>
public interface ITokenizer
{
    /// <summary>
    /// Separates the characters of a special token in a caller's content, so that <see cref="EncodePrompt"/> does not
    /// recognise the token there. It is a noncharacter: Unicode reserves it for internal use.
    /// </summary>
    public const char Separator = '\uFDD0';

    /// <summary>Number of bytes of <see cref="Separator"/> in UTF-8.</summary>
    public const int SeparatorBytes = 3;

    /// <summary>The token that ends a text: the first of <see cref="EndTokens"/>, or -1 if there is none.</summary>
    int EndOfText { get; }

    /// <summary>The tokens that end a generated text. A model may have several, or none.</summary>
    IReadOnlyList<int> EndTokens { get; }

    /// <summary>
    /// The texts that <see cref="EncodePrompt"/> recognises as control tokens, and that a caller's content must not
    /// contain undivided.
    /// </summary>
    IReadOnlyList<string> SpecialTokens { get; }

    /// <summary>
    /// Number of tokens: each token is less than this. The logits of a model may have more values, which are padding.
    /// </summary>
    int VocabularySize { get; }

    /// <summary>What a token is, for error texts in the plural, such as <c>bytes</c>.</summary>
    string Unit { get; }

    /// <summary>
    /// Returns the tokens of a prompt, with the tokens that the model expects before a text. Text that looks like a
    /// special token stays text.
    /// </summary>
    int[] Encode(string text);

    /// <summary>
    /// Returns the tokens of the output of a chat template: special tokens are recognised, and no token is added.
    /// A special token in which <see cref="Separator"/> was inserted stays text. The separators are removed.
    /// </summary>
    int[] EncodePrompt(string text);

    /// <summary>
    /// Returns a number of tokens that a text has at least, without converting it. 0 if nothing is known.
    /// </summary>
    int LeastTokens(string text) => 0;

    /// <summary>Returns the number of tokens that <see cref="Encode"/> would return.</summary>
    int Count(string text);

    /// <summary>Returns the text of one token, for details of a response.</summary>
    string TextOf(int token);

    /// <summary>
    /// Returns the bytes that a token adds in the middle of a text. Empty for special tokens, and for tokens that the
    /// vocabulary does not have.
    /// </summary>
    ReadOnlySpan<byte> BytesOf(int token);

    /// <summary>Returns whether a token controls the model and has no text.</summary>
    bool IsSpecial(int token);

    /// <summary>Returns whether a token is one of <see cref="EndTokens"/>.</summary>
    bool IsEnd(int token);

    /// <summary>Returns a decoder for one generated text.</summary>
    ITokenDecoder CreateDecoder();
}
