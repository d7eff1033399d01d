using System.Runtime.CompilerServices;

namespace Sluice.Worker.Generation.Chat.Jinja;

/// <summary>Counts what the evaluation of one template uses, and ends it at its limits.</summary>
/// <param name="limits">The limits.</param>
/// <param name="clock">The clock for the limit of time.</param>
internal sealed class EvaluationBudget(TemplateLimits limits, TimeProvider clock)
{
    // The clock is read once for this many steps.
    private const long StepsPerClockRead = 4096;

    private readonly long start = clock.GetTimestamp();
    private long steps;
    private long characters;
    private long nextClockRead = StepsPerClockRead;
    private int depth;

    /// <summary>The steps that were used.</summary>
    public long Steps => steps;

    /// <summary>Counts steps: nodes, or elements of lists.</summary>
    public void UseSteps(long count)
    {
        steps += count;
        if (steps > limits.MaxSteps)
            throw TemplateException.Limit($"The chat template takes more than {limits.MaxSteps} steps.");
        if (steps < nextClockRead) return;
        nextClockRead = steps + StepsPerClockRead;
        if (clock.GetElapsedTime(start) > limits.MaxTime)
            throw TemplateException.Limit($"The chat template takes longer than {limits.MaxTime.TotalSeconds} s.");
    }

    /// <summary>Counts characters that a function reads or writes. Called before the memory is allocated.</summary>
    public void UseCharacters(long count)
    {
        characters += count;
        if (characters > limits.MaxCharacters)
            throw TemplateException.Limit($"The chat template processes more than {limits.MaxCharacters} characters.");
        // 256 characters take about as long as a step.
        UseSteps(count >> 8);
    }

    /// <summary>Checks the length of the output.</summary>
    public void CheckOutput(long length)
    {
        if (length > limits.MaxOutput)
            throw TemplateException.Limit($"The chat template writes more than {limits.MaxOutput} characters.");
    }

    /// <summary>Counts one step and one more level of nesting. <see cref="Leave"/> ends the level.</summary>
    public void Enter()
    {
        UseSteps(1);
        if (++depth > limits.MaxDepth || !RuntimeHelpers.TryEnsureSufficientExecutionStack())
            throw TemplateException.Limit($"The chat template nests more than {limits.MaxDepth} levels.");
    }

    /// <summary>Ends a level of nesting.</summary>
    public void Leave() => depth--;
}
