using System.Text.Json.Serialization;

namespace Sluice.Domain.Scaling;

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
/// <param name="ArrivalsPerSecond">Mean over about the last 80 seconds.</param>
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
public sealed partial class DecisionJson : JsonSerializerContext;
