namespace Sluice.Worker.Generation.Chat.Jinja;

/// <summary>
/// What a template may use. The defaults are at least 20 times what the templates of the known models use for a
/// conversation of 1,000 messages.
/// </summary>
public sealed record TemplateLimits
{
    /// <summary>The limits of the worker.</summary>
    public static TemplateLimits Default { get; } = new();

    /// <summary>The length of a template, in characters.</summary>
    public int MaxTemplateLength { get; init; } = 1 << 20;

    /// <summary>The nesting of expressions and statements in the source.</summary>
    public int MaxSyntaxDepth { get; init; } = 200;

    /// <summary>The nesting during evaluation, with calls of macros.</summary>
    public int MaxDepth { get; init; } = 600;

    /// <summary>The nodes that are evaluated and the elements that are created, compared or copied.</summary>
    public long MaxSteps { get; init; } = 10_000_000;

    /// <summary>The characters that functions read or write in total, the output included.</summary>
    public long MaxCharacters { get; init; } = 256 << 20;

    /// <summary>The length of the output, in characters.</summary>
    public int MaxOutput { get; init; } = 32 << 20;

    /// <summary>The time for one text.</summary>
    public TimeSpan MaxTime { get; init; } = TimeSpan.FromSeconds(5);
}
