namespace Sluice.Worker.Generation.Tokenization.Models;

/// <summary>Converts words to tokens. Thread-safe.</summary>
internal interface ITokenModel
{
    /// <summary>The tokens of the model, without added tokens.</summary>
    Vocabulary Vocabulary { get; }

    /// <summary>Adds the tokens of one word of a text to the list.</summary>
    void Encode(ReadOnlySpan<char> word, List<int> tokens);
}
