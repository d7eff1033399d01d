using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;

namespace Sluice.Core.Autoscaling;

/// <summary>
/// Tells what the leader decides: to Redis, to metrics, to the log. Owns what was told last. A decision that changed something is
/// told at once; of the others the latest, at most once a second, and none while an idle endpoint stays as it is.
/// </summary>
public sealed partial class DecisionLog
{
    private static readonly TimeSpan TellEvery = TimeSpan.FromSeconds(0.9);

    private static readonly Counter<long> Made = CoreMeter.Meter.CreateCounter<long>("sluice.scaling.decisions", "{decision}",
        "Scaling decisions that changed something or were decided by another step than the one before, by direction and deciding step.");

    private readonly ConcurrentDictionary<string, Told> told = [];
    private readonly DecisionStore store;
    private readonly Func<bool> leads;
    private readonly ILogger<DecisionLog> logger;

    /// <param name="store">Where decisions are kept.</param>
    /// <param name="leads">Whether this gateway leads now: only then does it tell of endpoints.</param>
    /// <param name="logger">Where changes are logged.</param>
    public DecisionLog(DecisionStore store, Func<bool> leads, ILogger<DecisionLog> logger)
    {
        (this.store, this.leads, this.logger) = (store, leads, logger);
        CoreMeter.Meter.CreateObservableGauge("sluice.scaling.workers", Measure, "{worker}",
            "Workers of an endpoint as the leading gateway sees them: desired, ready, starting.");
        CoreMeter.Meter.CreateObservableGauge("sluice.worker_time.today", MeasureSpent, "s",
            "Worker time that an endpoint used since 00:00 UTC, what scaling.dailyWorkerTime limits (at the gateway that leads).");
    }

    /// <summary>What a new leader goes on with.</summary>
    public async Task<ScaleState> ResumeAsync(string endpointId, CancellationToken ct) =>
        (await store.StateAsync(endpointId, ct))?.Resumed() ?? ScaleState.Initial;

    /// <summary>Tells a decision.</summary>
    /// <param name="endpointId">Of which endpoint.</param>
    /// <param name="epoch">The leader's.</param>
    /// <param name="note">What was decided.</param>
    /// <param name="state">What is remembered.</param>
    /// <param name="ct">Ends the call.</param>
    public async Task TellAsync(string endpointId, long epoch, DecisionNote note, ScaleState state, CancellationToken ct)
    {
        var before = told.GetValueOrDefault(endpointId);
        var turned = before is null || before.Note.DecidedBy != note.DecidedBy || before.Note.Desired != note.Desired;
        var failed = before?.Note.Trouble != note.Trouble;
        if (note.Changed) Decided(endpointId, note.Desired, note.Start, note.Resume, note.Drain, note.Because);
        if (note.Changed || turned)
        {
            var direction = note.Start + note.Resume > 0 ? "out" : note.Drain > 0 ? "in" : "none";
            Made.Add(1, Tag("endpoint", endpointId), Tag("direction", direction), Tag("step", note.DecidedBy));
        }

        var idle = note is { Current: 0, Desired: 0, Inputs.Queued: 0 } && note.Inputs.WorkerTimeToday == before?.Kept.Inputs.WorkerTimeToday;
        if (!note.Changed && !turned && !failed && (idle || note.At - before!.Kept.At < TellEvery))
        {
            told[endpointId] = before! with { Note = note };
            return;
        }

        told[endpointId] = new Told(note, note);
        await store.KeepAsync(endpointId, epoch, note, state, ct);
    }

    /// <summary>Keeps in memory what was decided about declared endpoints only.</summary>
    public void Retain(Func<string, bool> isDeclared)
    {
        foreach (var id in told.Keys)
            if (!isDeclared(id)) told.TryRemove(id, out _);
    }

    /// <summary>Forgets an endpoint that is declared no more.</summary>
    public async Task ForgetAsync(string endpointId, CancellationToken ct)
    {
        told.TryRemove(endpointId, out _);
        await store.ForgetAsync(endpointId, ct);
    }

    private IEnumerable<Measurement<int>> Measure()
    {
        if (!leads()) yield break;
        foreach (var (endpoint, last) in told)
        {
            yield return new Measurement<int>(last.Note.Desired, Tag("endpoint", endpoint), Tag("state", "desired"));
            yield return new Measurement<int>(last.Note.Inputs.Ready, Tag("endpoint", endpoint), Tag("state", "ready"));
            yield return new Measurement<int>(last.Note.Inputs.Starting, Tag("endpoint", endpoint), Tag("state", "starting"));
        }
    }

    private IEnumerable<Measurement<double>> MeasureSpent() => !leads() ? []
        : told.Select(t => new Measurement<double>(t.Value.Note.Inputs.WorkerTimeToday, Tag("endpoint", t.Key)));

    private static KeyValuePair<string, object?> Tag(string name, object? value) => KeyValuePair.Create(name, value);

    /// <summary>The last decision, and the last one that was kept.</summary>
    private sealed record Told(DecisionNote Note, DecisionNote Kept);

    [LoggerMessage(LogLevel.Information, "Endpoint {Endpoint}: {Desired} workers wanted; starting {Start}, taking back {Resume}, draining {Drain}: {Because}")]
    private partial void Decided(string endpoint, int desired, int start, int resume, int drain, string because);
}
