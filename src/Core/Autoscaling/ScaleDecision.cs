namespace Sluice.Core.Autoscaling;

/// <summary>One named step of a decision, and how many workers are wanted after it.</summary>
/// <param name="Name">One of <see cref="ScaleSteps"/>.</param>
/// <param name="Workers">Workers wanted after it.</param>
/// <param name="Why">Its inputs and its rule, in words.</param>
public readonly record struct ScaleStep(string Name, int Workers, string Why);

/// <summary>How many workers should run, what to remember, and why.</summary>
/// <param name="Desired">Workers that should run.</param>
/// <param name="Next">What to remember until the next look.</param>
/// <param name="Steps">The demand, and each step that changed it, in order.</param>
public sealed record ScaleDecision(int Desired, ScaleState Next, IReadOnlyList<ScaleStep> Steps)
{
    /// <summary>Set while the endpoint takes no requests, for a reason of the policy and not of the workers.</summary>
    public Refusal? Refuses { get; init; }

    /// <summary>The steps in words.</summary>
    public string Because => string.Join("; ", Steps.Select(s => s.Why));

    /// <summary>The last step, whose result this is.</summary>
    public string DecidedBy => Steps[^1].Name;

    public bool Equals(ScaleDecision? other) =>
        other is not null && Desired == other.Desired && Next == other.Next && Refuses == other.Refuses && Steps.SequenceEqual(other.Steps);

    public override int GetHashCode() => HashCode.Combine(Desired, Next, Steps.Count);
}

/// <summary>Why an endpoint takes no requests now, and until when.</summary>
/// <param name="Reason">Why.</param>
/// <param name="Until">When it takes requests again; <see cref="DateTimeOffset.MaxValue"/>: when an operator changes something.</param>
/// <param name="PublicReason">The reason for clients without a key; null: the same.</param>
public sealed record Refusal(string Reason, DateTimeOffset Until, string? PublicReason = null);

/// <summary>The names of a decision's steps, in their order.</summary>
public static class ScaleSteps
{
    /// <summary>What the scaler asks for.</summary>
    public const string Demand = "demand";

    /// <summary>Requests came and went between two looks: they need a worker too.</summary>
    public const string Recent = "recent";

    /// <summary>Spare workers.</summary>
    public const string Buffer = "buffer";

    /// <summary>A scheduled minimum.</summary>
    public const string Schedule = "schedule";

    /// <summary>Between min and max.</summary>
    public const string Bounds = "bounds";

    /// <summary>As many more as one interval allows.</summary>
    public const string Step = "step";

    /// <summary>Fewer only when fewer were wanted for a while.</summary>
    public const string Hold = "hold";

    /// <summary>Paused by an operator.</summary>
    public const string Pause = "pause";

    /// <summary>The day's worker time is used up.</summary>
    public const string Spend = "spend";

    public static IReadOnlyList<string> All { get; } = [Demand, Recent, Buffer, Schedule, Bounds, Step, Hold, Pause, Spend];
}
