using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Sluice.Domain.Scaling;
using Sluice.Shared;
using Sluice.Storage.Fleet;

namespace Sluice.ControlPlane.Leadership;

/// <summary>
/// Publishes the scaling decisions of the leader to Redis, metrics and the log. A decision that changed something is
/// stored immediately. Of the other decisions the latest is stored, at most once per second, and none while an idle
/// endpoint does not change.
/// </summary>
public sealed partial class ScalingDecisionLog : IDisposable
{
    private static readonly TimeSpan StoreInterval = TimeSpan.FromSeconds(0.9);

    private static readonly Counter<long> Made = SluiceMeter.Meter.CreateCounter<long>(
        MetricNames.ScalingDecisions, "{decision}",
        "Scaling decisions that changed the workers or came from another step than the previous one, "
        + "by direction and deciding step.");

    private readonly ConcurrentDictionary<string, Published> published = [];
    private readonly ScalingDecisionStore store;
    private readonly Func<bool> leads;
    private readonly ILogger<ScalingDecisionLog> logger;
    private volatile bool disposed;

    /// <param name="store">Stores the decisions.</param>
    /// <param name="leads">Whether this gateway is the leader now. Only the leader publishes metrics of
    /// endpoints.</param>
    /// <param name="logger">Logs the changes.</param>
    public ScalingDecisionLog(ScalingDecisionStore store, Func<bool> leads, ILogger<ScalingDecisionLog> logger)
    {
        this.store = store;
        this.leads = leads;
        this.logger = logger;
        SluiceMeter.Meter.CreateObservableGauge(MetricNames.ScalingWorkers, Measure, "{worker}",
            "Workers of an endpoint as the leader sees them: desired, ready, starting.");
        SluiceMeter.Meter.CreateObservableGauge(MetricNames.ScalingTokens, MeasureTokens, "{token}",
            "Tokens of an endpoint that generates text: in flight at its workers, waiting, and the capacity of all "
            + "ready workers. Only the leader exports it.");
        SluiceMeter.Meter.CreateObservableGauge(MetricNames.WorkerTimeToday, MeasureSpent, "s",
            "Worker time of an endpoint since 00:00 UTC, limited by scaling.dailyWorkerTime. "
            + "Only the leader exports it.");
    }

    /// <summary>Returns the state with which a new leader continues.</summary>
    public async Task<ScaleState> ResumeAsync(string endpointId, CancellationToken ct) =>
        (await store.StateAsync(endpointId, ct))?.Resumed() ?? ScaleState.Initial;

    /// <summary>Publishes a decision.</summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="epoch">The epoch of the leader.</param>
    /// <param name="note">The decision.</param>
    /// <param name="state">The state after the decision.</param>
    /// <param name="ct">Cancels the call.</param>
    /// <returns>Whether nothing is left to store.</returns>
    public async Task<bool> PublishAsync(
        string endpointId, long epoch, ScalingDecisionRecord note, ScaleState state, CancellationToken ct)
    {
        var before = published.GetValueOrDefault(endpointId);
        var turned = before is null
            || before.Note.DecidedBy != note.DecidedBy
            || before.Note.Desired != note.Desired;
        var failed = before?.Note.Trouble != note.Trouble;
        if (note.Changed)
            ScalingDecided(endpointId, note.Desired, note.Start, note.Resume, note.Drain, note.Because);
        if (note.Changed || turned)
        {
            var direction = note.Start + note.Resume > 0 ? "out" : note.Drain > 0 ? "in" : "none";
            Made.Add(1, Tag("endpoint", endpointId), Tag("direction", direction), Tag("step", note.DecidedBy));
        }

        var idle = note is { Current: 0, Desired: 0, Inputs.Queued: 0 }
            && note.Inputs.WorkerTimeToday == before?.Stored.Inputs.WorkerTimeToday;
        if (!note.Changed && !turned && !failed && (idle || note.At - before!.Stored.At < StoreInterval))
        {
            published[endpointId] = before! with { Note = note };
            return idle;
        }

        published[endpointId] = new Published(note, note);
        await store.KeepAsync(endpointId, epoch, note, state, ct);
        return true;
    }

    /// <summary>Removes the decisions about undeclared endpoints from memory.</summary>
    public void Retain(Func<string, bool> isDeclared)
    {
        foreach (var id in published.Keys)
            if (!isDeclared(id)) published.TryRemove(id, out _);
    }

    /// <summary>Deletes the decisions about an endpoint that is no longer declared.</summary>
    public async Task ForgetAsync(string endpointId, CancellationToken ct)
    {
        published.TryRemove(endpointId, out _);
        await store.ForgetAsync(endpointId, ct);
    }

    /// <summary>
    /// Ends the measurements. The gauges belong to the process' meter, which outlives the hosts that tests build.
    /// </summary>
    public void Dispose() => disposed = true;

    private IEnumerable<Measurement<int>> Measure()
    {
        if (disposed || !leads()) yield break;
        foreach (var (endpoint, last) in published)
        {
            var tag = Tag("endpoint", endpoint);
            yield return new Measurement<int>(last.Note.Desired, tag, Tag("state", "desired"));
            yield return new Measurement<int>(last.Note.Inputs.Ready, tag, Tag("state", "ready"));
            yield return new Measurement<int>(last.Note.Inputs.Starting, tag, Tag("state", "starting"));
        }
    }

    private IEnumerable<Measurement<long>> MeasureTokens()
    {
        if (disposed || !leads()) yield break;
        foreach (var (endpoint, last) in published)
        {
            var inputs = last.Note.Inputs;
            if (inputs.TokensPerWorker is not { } capacity) continue;
            var tag = Tag("endpoint", endpoint);
            yield return new Measurement<long>(inputs.TokensInFlight ?? 0, tag, Tag("state", "in_flight"));
            yield return new Measurement<long>(inputs.TokensWaiting ?? 0, tag, Tag("state", "waiting"));
            yield return new Measurement<long>(capacity * inputs.Ready, tag, Tag("state", "capacity"));
        }
    }

    private IEnumerable<Measurement<double>> MeasureSpent() => disposed || !leads() ? []
        : published.Select(p => new Measurement<double>(p.Value.Note.Inputs.WorkerTimeToday, Tag("endpoint", p.Key)));

    private static KeyValuePair<string, object?> Tag(string name, object? value) => KeyValuePair.Create(name, value);

    /// <summary>The latest decision, and the latest one that was stored.</summary>
    private sealed record Published(ScalingDecisionRecord Note, ScalingDecisionRecord Stored);

    [LoggerMessage(LogLevel.Information, "Endpoint {Endpoint} scales to {Desired} workers: "
        + "starting {Start}, resuming {Resume}, draining {Drain}: {Because}")]
    private partial void ScalingDecided(string endpoint, int desired, int start, int resume, int drain, string because);
}
