using System.Text.Json.Serialization;

namespace Sluice.Domain.Scaling;

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
    /// <summary>Tokens that running texts may use at their workers; null: there are none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? TokensInFlight { get; init; }

    /// <summary>Tokens that waiting texts may use; null: there are none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? TokensWaiting { get; init; }

    /// <summary>Tokens that a worker can hold; null: not known.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? TokensPerWorker { get; init; }

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
        Round(state.Spending.Used.TotalSeconds))
    {
        TokensInFlight = Positive(load.TokensInFlight),
        TokensWaiting = Positive(load.TokensWaiting),
        TokensPerWorker = Positive(state.TokensPerWorker),
    };

    private static long? Positive(long tokens) => tokens > 0 ? tokens : null;

    private static double Round(double value) => Math.Round(value, 4);
}
