using System.Text;
using Sluice.Worker.Generation;

namespace Sluice.Worker.OpenAi;

/// <summary>One of the texts of a response, as far as it is generated.</summary>
/// <param name="index">The number of the text, from 0.</param>
/// <param name="request">The request for the text.</param>
/// <param name="hasEnded">Whether another worker generated the whole text.</param>
internal sealed class Choice(int index, GenerationRequest request, bool hasEnded = false)
{
    public int Index => index;

    /// <summary>The request for the text.</summary>
    public GenerationRequest Request { get; } = request with { Tally = new GenerationTally() };

    /// <summary>Whether another worker generated the whole text.</summary>
    public bool HasEnded => hasEnded;

    /// <summary>The text.</summary>
    public StringBuilder Text { get; } = new();

    /// <summary>The tokens with their log probabilities, if the request asks for them.</summary>
    public List<GeneratedToken> Tokens { get; } = [];

    /// <summary>Number of generated tokens.</summary>
    public int Generated { get; private set; } = request.Emitted.Count;

    /// <summary>Number of tokens of the prompt that the cache contained.</summary>
    public int Cached { get; private set; }

    /// <summary><c>stop</c> or <c>length</c>; null before the end.</summary>
    public string? FinishReason { get; private set; }

    /// <summary>Whether the choice has events already.</summary>
    public bool HasStarted { get; set; }

    /// <summary>What the engine computed for the text, when it has ended.</summary>
    public GenerationUsage Spent => HasEnded
        ? new GenerationUsage(Request.Prompt!.Count, 0, Generated)
        : Request.Tally!.Usage;

    /// <summary>Adds what one token adds to the text.</summary>
    public void Add(GeneratedPiece piece)
    {
        Text.Append(piece.Text);
        if (piece.Token is { Special: false } token) Tokens.Add(token);
        Generated = piece.Tokens;
        Cached = piece.CachedTokens;
        FinishReason = piece.FinishReason;
    }
}
