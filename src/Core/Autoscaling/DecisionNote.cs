using System.Text.Json.Serialization;
using Sluice.Core.Endpoints;

namespace Sluice.Core.Autoscaling;

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
        ScalePolicy policy, LoadSnapshot load, ScaleDecision decision, int start, int drain, int resume, DateTimeOffset now) =>
        new(now, policy.Scaler, load.Current, decision.Desired, start, drain, resume, decision.DecidedBy,
            decision.Because, DecisionInputs.Create(load, decision.Next), decision.Steps);
}

/// <summary>Consecutive start failures, which limit how many workers a decision may start.</summary>
/// <param name="Failures">Number of failures.</param>
/// <param name="Reason">Reason of the last failure.</param>
/// <param name="NextTry">Time of the next start attempt.</param>
public sealed record StartTrouble(int Failures, string Reason, DateTimeOffset NextTry);

/// <summary>The inputs of a decision. Times are in seconds.</summary>
/// <param name="Queued">Waiting requests.</param>
/// <param name="OldestWait">How long the oldest of them has waited.</param>
/// <param name="Running">Maximum number of concurrently running requests since the previous pass.</param>
/// <param name="Completed">Requests that have ended so far.</param>
/// <param name="Ready">Workers that accept requests.</param>
/// <param name="Starting">Workers that are starting.</param>
/// <param name="SlotsPerWorker">Concurrent requests per worker.</param>
/// <param name="ArrivalsPerSecond">Mean over about the last minute.</param>
/// <param name="ServiceTime">Mean time that a request holds a slot, over about the last hundred requests; null if no
/// request has ended.</param>
/// <param name="StartTime">Smoothed duration of a worker start; null if no start was observed.</param>
/// <param name="WorkerTimeToday">Worker-seconds used since 00:00 UTC.</param>
public sealed record DecisionInputs(
    int Queued,
    double OldestWait,
    int Running,
    long Completed,
    int Ready,
    int Starting,
    int SlotsPerWorker,
    double ArrivalsPerSecond,
    double? ServiceTime,
    double? StartTime,
    double WorkerTimeToday)
{
    /// <summary>Creates the inputs from the load and the state after a decision.</summary>
    public static DecisionInputs Create(LoadSnapshot load, ScaleState state) => new(
        load.Queued,
        Round(load.OldestWait.TotalSeconds),
        load.Busy,
        load.Completed,
        load.Ready,
        load.Starting,
        load.SlotsPerWorker,
        Round(Math.Max(0, state.Traffic.Usual.Mean)),
        state.Learned.ServiceSeconds is { } s ? Round(s) : null,
        state.Learned.StartSeconds > 0 ? Round(state.Learned.StartSeconds) : null,
        Round(state.Spending.Used.TotalSeconds));

    private static double Round(double value) => Math.Round(value, 4);
}

/// <summary>The stored decisions of an endpoint.</summary>
/// <param name="Latest">The latest stored decision, with or without a change; null if there is none.</param>
/// <param name="Changes">Decisions that changed something, newest first.</param>
public sealed record Decisions(ScalingDecisionRecord? Latest, IReadOnlyList<ScalingDecisionRecord> Changes);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(ScalingDecisionRecord))]
[JsonSerializable(typeof(ScaleState))]
internal sealed partial class DecisionJson : JsonSerializerContext;
