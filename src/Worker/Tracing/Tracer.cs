using System.Collections.Frozen;
using System.Text.Json;
using Sluice.Worker.Logging;

namespace Sluice.Worker.Tracing;

/// <summary>
/// Starts the traces of requests, as in Triton's trace extension. Owns the trace settings of all models and the
/// different settings of single models. While tracing is off, a request costs one read of a field.
/// </summary>
internal sealed class Tracer : IDisposable
{
    private readonly Lock gate = new();
    private readonly WorkerLog log;
    private readonly Dictionary<string, TraceRequest> perModel = [];
    private TraceRequest forAll = TraceRequest.None;
    private TraceSampler common;
    private FrozenDictionary<string, TraceSampler> own = FrozenDictionary<string, TraceSampler>.Empty;
    private volatile Plan? tracing;
    private int last;

    public Tracer(WorkerLog log)
    {
        this.log = log;
        common = new TraceSampler(TraceSettings.Default, log);
    }

    /// <summary>Starts the trace of a request. Returns null if the request is not traced.</summary>
    public RequestTrace? StartTrace(string model, string version)
    {
        if (tracing is not { } plan) return null;
        var sampler = plan.Own.GetValueOrDefault(model) ?? plan.Common;
        if (!sampler.TrySelect()) return null;
        return new RequestTrace(sampler, Interlocked.Increment(ref last), model, version);
    }

    /// <summary>
    /// Writes the settings of a model, or (null) the settings of all models without different settings.
    /// </summary>
    public void Write(Utf8JsonWriter json, string? model)
    {
        TraceSampler sampler;
        lock (gate) sampler = model is null ? common : own.GetValueOrDefault(model) ?? common;
        sampler.Settings.Write(json, sampler.Left);
    }

    /// <summary>
    /// Changes the settings of a model, or (null) of all models. The counters restart for the model of the request,
    /// and for all models whose resulting settings change.
    /// </summary>
    public void Change(string? model, JsonElement fields)
    {
        lock (gate)
        {
            if (model is null) forAll = forAll.With(fields);
            else ChangeModel(model, fields);

            var before = own.Values.Append(common).ToList();
            var below = forAll.ApplyTo(TraceSettings.Default);
            common = KeepOrReplace(common, below, changed: model is null);
            own = perModel.ToFrozenDictionary(
                m => m.Key,
                m => KeepOrReplace(own.GetValueOrDefault(m.Key), m.Value.ApplyTo(below), changed: m.Key == model));
            var now = own.Values.Append(common).ToList();
            tracing = now.Exists(s => s.Settings.Timestamps) ? new Plan(common, own) : null;
            foreach (var sampler in before.Except(now)) sampler.Retire();
        }
    }

    /// <summary>Writes all stored traces.</summary>
    public void Dispose()
    {
        lock (gate)
            foreach (var sampler in own.Values.Append(common)) sampler.Retire();
    }

    private void ChangeModel(string model, JsonElement fields)
    {
        var changed = perModel.GetValueOrDefault(model, TraceRequest.None).With(fields);
        if (changed != TraceRequest.None) perModel[model] = changed;
        else perModel.Remove(model);
    }

    private TraceSampler KeepOrReplace(TraceSampler? before, TraceSettings now, bool changed) =>
        before is not null && before.Settings == now && !changed ? before : new TraceSampler(now, log);

    private sealed record Plan(TraceSampler Common, FrozenDictionary<string, TraceSampler> Own);
}
