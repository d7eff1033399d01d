namespace Sluice.Worker.Generation;

/// <summary>What the engine computed for a text, by its own counts.</summary>
/// <param name="Prompt">Tokens of the prompt that were read, or that the cache contained.</param>
/// <param name="Cached">Those of them that the cache contained.</param>
/// <param name="Generated">Generated tokens, with those of another worker that the text continues.</param>
public readonly record struct GenerationUsage(int Prompt, int Cached, int Generated)
{
    public static GenerationUsage operator +(GenerationUsage a, GenerationUsage b) =>
        new(a.Prompt + b.Prompt, a.Cached + b.Cached, a.Generated + b.Generated);
}
