namespace Sluice.Gateway.Batches;

/// <summary>The limits of batches.</summary>
/// <param name="InFlight">Lines of a batch that are jobs at the same time.</param>
/// <param name="MaxLines">Maximum number of lines of an input.</param>
/// <param name="KeepOutput">How long output files are kept; zero: without an end.</param>
public sealed record BatchSettings(int InFlight, int MaxLines, TimeSpan KeepOutput)
{
    /// <summary>
    /// The most batches that one gateway runs at the same time. Batches of an endpoint without workers occupy runs too.
    /// </summary>
    public const int MostRuns = 32;

    /// <summary>Maximum bytes of a line: the gateway holds the lines that are in flight.</summary>
    public const int MaxLineBytes = 4 << 20;

    /// <summary>The paths that the lines of a batch can request.</summary>
    public static IReadOnlyList<string> Endpoints { get; } =
        ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", BatchResponses.Endpoint];
}
