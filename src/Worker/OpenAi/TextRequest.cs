using Sluice.Worker.Generation;

namespace Sluice.Worker.OpenAi;

/// <summary>What a request of the OpenAI API generates.</summary>
/// <param name="Options">The options of the request.</param>
/// <param name="Choices">The texts, in the order of the response.</param>
/// <param name="Format">The form of the response.</param>
internal sealed record TextRequest(
    CompletionOptions Options,
    IReadOnlyList<Choice> Choices,
    IResponseFormat Format)
{
    private const int MaxRepeatedCharacters = 64 << 10;

    /// <summary>
    /// Whether another worker can continue the response: it is a stream, and no event is so large that a gateway would
    /// have to hold much of it.
    /// </summary>
    public bool CanBeContinued => Options.Stream && Format.RepeatedCharacters <= MaxRepeatedCharacters;

    /// <summary>
    /// What the engine computed, when all texts have ended, also if the client is gone. A prompt of several texts
    /// counts once.
    /// </summary>
    public GenerationUsage Spent => Choices.Select((choice, i) => i % Options.Count == 0
        ? choice.Spent
        : choice.Spent with { Prompt = 0, Cached = 0 }).Aggregate(default(GenerationUsage), (a, b) => a + b);

    /// <summary>Number of tokens so far. A prompt of several texts counts once.</summary>
    public Usage Usage
    {
        get
        {
            var prompts = Choices.Where((_, i) => i % Options.Count == 0).ToList();
            return new Usage(
                prompts.Sum(c => c.Request.Prompt!.Count), Choices.Sum(c => c.Generated), prompts.Sum(c => c.Cached));
        }
    }
}
