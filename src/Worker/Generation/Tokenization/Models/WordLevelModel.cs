using System.Text;
using Sluice.Worker.Generation.Tokenization.Files;

namespace Sluice.Worker.Generation.Tokenization.Models;

/// <summary>A token for each word.</summary>
internal sealed class WordLevelModel(Vocabulary vocabulary, JsonPart model) : ITokenModel
{
    private readonly int unknown = FindUnknown(vocabulary, model);

    public Vocabulary Vocabulary => vocabulary;

    /// <summary>Returns the token of unknown words.</summary>
    /// <exception cref="TokenizerFileException">The unknown token is missing.</exception>
    public static int FindUnknown(Vocabulary vocabulary, JsonPart model)
    {
        var text = model.Text("unk_token");
        return vocabulary.FindWritten(Encoding.UTF8.GetBytes(text)) is var unknown and >= 0
            ? unknown
            : throw new TokenizerFileException(
                $"{model.Path}.unk_token is '{text}', which is not in {model.Path}.vocab");
    }

    public void Encode(ReadOnlySpan<char> word, List<int> tokens)
    {
        var token = vocabulary.Find(Encoding.UTF8.GetBytes(word.ToString()));
        tokens.Add(token >= 0 ? token : unknown);
    }
}
