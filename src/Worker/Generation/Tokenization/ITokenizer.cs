namespace Sluice.Worker.Generation.Tokenization;

/// <summary>Converts between text and the tokens of a model. Thread-safe.</summary>
public interface ITokenizer
{
    /// <summary>The token that ends a text.</summary>
    int EndOfText { get; }

    /// <summary>What a token is, for error texts in the plural, such as <c>bytes</c>.</summary>
    string Unit { get; }

    /// <summary>
    /// Returns the tokens of a prompt, with the tokens that the model expects before a text. Text that looks like a
    /// special token stays text.
    /// </summary>
    int[] Encode(string text);

    /// <summary>Returns the number of tokens that <see cref="Encode"/> would return.</summary>
    int Count(string text);

    /// <summary>Returns the text of one token, for details of a response.</summary>
    string TextOf(int token);

    /// <summary>Returns a decoder for one generated text.</summary>
    ITokenDecoder CreateDecoder();
}
