using System.Text.Json.Serialization;
using Sluice.Core.Endpoints;

namespace Sluice.Core.Autoscaling;

/// <summary>A decision with all that it was made of, kept so that an operator can ask why.</summary>
/// <param name="At">When.</param>
/// <param name="Scaler">Whose rule made the demand.</param>
/// <param name="Current">Workers that ran or started before.</param>
/// <param name="Desired">Workers that should.</param>
/// <param name="Start">Workers ordered: fewer than the difference while starts fail.</param>
/// <param name="Drain">Workers told to end, outdated ones too.</param>
/// <param name="Resume">Workers taken back that were told to end.</param>
/// <param name="DecidedBy">The step whose result it is.</param>
/// <param name="Because">The steps in words.</param>
/// <param name="Inputs">What was seen.</param>
/// <param name="Steps">The demand, and each step that changed it.</param>
public sealed record DecisionNote(DateTimeOffset At, Scaler Scaler, int Current, int Desired, int Start, int Drain, int Resume, string DecidedBy,
    string Because, DecisionInputs Inputs, IReadOnlyList<ScaleStep> Steps)
{
    /// <summary>Starts that failed in a row; null: none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public StartTrouble? Trouble { get; init; }

    /// <summary>Whether it ordered anything.</summary>
    [JsonIgnore]
    public bool Changed => Start > 0 || Drain > 0 || Resume > 0;

    public static DecisionNote Of(ScalePolicy policy, Load load, ScaleDecision decision, int start, int drain, int resume,
        DateTimeOffset now) => new(now, policy.Scaler, load.Current, decision.Desired, start, drain, resume, decision.DecidedBy, decision.Because,
        DecisionInputs.Of(load, decision.Next), decision.Steps);
}

/// <summary>Starts that failed in a row, which limit how many workers a decision may order.</summary>
/// <param name="Failures">How many.</param>
/// <param name="Reason">Why the last one failed.</param>
/// <param name="NextTry">No start before this.</param>
public sealed record StartTrouble(int Failures, string Reason, DateTimeOffset NextTry);

/// <summary>What a decision was made of. Times are in seconds.</summary>
/// <param name="Queued">Requests that wait.</param>
/// <param name="OldestWait">How long the oldest of them has waited.</param>
/// <param name="Running">Most requests at workers at once since the last look.</param>
/// <param name="Completed">Requests that ended so far.</param>
/// <param name="Ready">Workers that take requests.</param>
/// <param name="Starting">Workers that start.</param>
/// <param name="SlotsPerWorker">Requests that a worker takes at once.</param>
/// <param name="ArrivalsPerSecond">Mean over about the last minute.</param>
/// <param name="ServiceTime">Mean time that a request holds a slot, of about the last hundred; null: none has ended.</param>
/// <param name="StartTime">How long a start takes, smoothed; null: none was seen.</param>
/// <param name="WorkerTimeToday">Worker-seconds used since 00:00 UTC.</param>
public sealed record DecisionInputs(int Queued, double OldestWait, int Running, long Completed, int Ready, int Starting,
    int SlotsPerWorker, double ArrivalsPerSecond, double? ServiceTime, double? StartTime, double WorkerTimeToday)
{
    public static DecisionInputs Of(Load load, ScaleState state) => new(load.Queued, Round(load.OldestWait.TotalSeconds), load.Busy,
        load.Completed, load.Ready, load.Starting, load.SlotsPerWorker, Round(Math.Max(0, state.Traffic.Usual.Mean)),
        state.Learned.ServiceSeconds is { } s ? Round(s) : null,
        state.Learned.StartSeconds > 0 ? Round(state.Learned.StartSeconds) : null, Round(state.Spending.Used.TotalSeconds));

    private static double Round(double value) => Math.Round(value, 4);
}

/// <summary>An endpoint's decisions.</summary>
/// <param name="Latest">The last one that was kept, whether or not it changed something; null: none yet.</param>
/// <param name="Changes">Those that changed something, newest first.</param>
public sealed record Decisions(DecisionNote? Latest, IReadOnlyList<DecisionNote> Changes);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(DecisionNote))]
[JsonSerializable(typeof(ScaleState))]
internal sealed partial class DecisionJson : JsonSerializerContext;
