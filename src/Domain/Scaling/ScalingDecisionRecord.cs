using System.Text.Json.Serialization;
using Sluice.Domain.Declarations;

namespace Sluice.Domain.Scaling;

/// <summary>A scaling decision with all its inputs, stored so that an operator can find its reason.</summary>
/// <param name="At">The time of the decision.</param>
/// <param name="Scaler">The scaler that computed the demand.</param>
/// <param name="Current">Workers that ran or started before the decision.</param>
/// <param name="Desired">Workers that should run.</param>
/// <param name="Start">Workers to start. While starts fail, this is less than the difference.</param>
/// <param name="Drain">Workers to drain, including outdated ones.</param>
/// <param name="Resume">Draining workers to return to service.</param>
/// <param name="DecidedBy">The name of the step that determined the result.</param>
/// <param name="Because">The reasons of all steps as text.</param>
/// <param name="Inputs">The inputs of the decision.</param>
/// <param name="Steps">The demand, and each step that changed it.</param>
public sealed record ScalingDecisionRecord(
    DateTimeOffset At,
    Scaler Scaler,
    int Current,
    int Desired,
    int Start,
    int Drain,
    int Resume,
    string DecidedBy,
    string Because,
    DecisionInputs Inputs,
    IReadOnlyList<ScaleStep> Steps)
{
    /// <summary>The consecutive start failures; null if there are none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public StartTrouble? Trouble { get; init; }

    /// <summary>Whether the decision starts, drains or resumes a worker.</summary>
    [JsonIgnore]
    public bool Changed => Start > 0 || Drain > 0 || Resume > 0;

    /// <summary>Creates the record of a decision.</summary>
    public static ScalingDecisionRecord Create(
        ScalePolicy policy,
        LoadSnapshot load,
        ScaleDecision decision,
        int start,
        int drain,
        int resume,
        DateTimeOffset now) =>
        new(now, policy.Scaler, load.Current, decision.Desired, start, drain, resume, decision.DecidedBy,
            decision.Because, DecisionInputs.Create(load, decision.Next), decision.Steps);
}
