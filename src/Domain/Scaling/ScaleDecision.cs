namespace Sluice.Domain.Scaling;

/// <summary>The result of a decision: the number of workers, the next state, and the reason.</summary>
/// <param name="Desired">Workers that should run.</param>
/// <param name="Next">The state for the next decision.</param>
/// <param name="Steps">The demand, and each step that changed it, in order.</param>
public sealed record ScaleDecision(int Desired, ScaleState Next, IReadOnlyList<ScaleStep> Steps)
{
    /// <summary>Set while the endpoint rejects requests because of its policy and not because of its workers.</summary>
    public Refusal? Refuses { get; init; }

    /// <summary>The reasons of all steps, joined with semicolons.</summary>
    public string Because => string.Join("; ", Steps.Select(s => s.Why));

    /// <summary>The name of the last step, which determined the result.</summary>
    public string DecidedBy => Steps[^1].Name;

    public bool Equals(ScaleDecision? other) =>
        other is not null
        && Desired == other.Desired
        && Next == other.Next
        && Refuses == other.Refuses
        && Steps.SequenceEqual(other.Steps);

    public override int GetHashCode() => HashCode.Combine(Desired, Next, Steps.Count);
}
