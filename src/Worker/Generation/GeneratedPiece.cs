namespace Sluice.Worker.Generation;

/// <summary>The part of the text that one generated token adds.</summary>
/// <param name="Text">Text to append; empty while a character or a possible stop string is incomplete.</param>
/// <param name="Tokens">Number of tokens generated so far.</param>
/// <param name="FinishReason">
/// Null before the end; then <c>stop</c> (end of text, or a stop string) or <c>length</c>.
/// </param>
/// <param name="Token">The token, if the request has <c>details</c>. The end of the text is a token too.</param>
public readonly record struct GeneratedPiece(
    string Text,
    int Tokens,
    string? FinishReason,
    GeneratedToken? Token = null)
{
    /// <summary>Number of tokens of the prompt that were not read, because the cache contained them.</summary>
    public int CachedTokens { get; init; }

    /// <summary>The token; null if the piece adds none, because the model ended the text.</summary>
    public int? Id { get; init; }

    /// <summary>
    /// Whether another worker generated the token (<see cref="GenerationRequest.Emitted"/>), so that the caller has
    /// the text already.
    /// </summary>
    public bool IsEarlier { get; init; }

    /// <summary>
    /// The finish reason of the protocol's details: <c>length</c>, <c>eos_token</c> or <c>stop_sequence</c>.
    /// </summary>
    public string EndedBy => this switch
    {
        { FinishReason: "length" } => "length",
        { Token.Special: true } => "eos_token",
        _ => "stop_sequence",
    };
}
