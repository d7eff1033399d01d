using System.Collections.Frozen;
using System.Text.Json;
using Sluice.Worker.Logging;

namespace Sluice.Worker.Tracing;

/// <summary>
/// Triton's trace extension: settings for all models, and for some of them others. The owner of both. While nothing is traced a request
/// costs one read of a field.
/// </summary>
internal sealed class Tracer : IDisposable
{
    private readonly Lock gate = new();
    private readonly WorkerLog log;
    private readonly Dictionary<string, TraceWish> wishes = [];
    private TraceWish forAll = TraceWish.Nothing;
    private TraceSampler common;
    private FrozenDictionary<string, TraceSampler> own = FrozenDictionary<string, TraceSampler>.Empty;
    private volatile Plan? tracing;
    private int last;

    public Tracer(WorkerLog log)
    {
        this.log = log;
        common = new TraceSampler(TraceSettings.Default, log);
    }

    /// <summary>The trace of a request that begins; null: it is not traced.</summary>
    public RequestTrace? Begin(string model, string version)
    {
        if (tracing is not { } plan) return null;
        var sampler = plan.Own.GetValueOrDefault(model) ?? plan.Common;
        return sampler.Takes() ? new RequestTrace(sampler, Interlocked.Increment(ref last), model, version) : null;
    }

    /// <summary>The settings of a model; null: those for all that have none of their own.</summary>
    public void Write(Utf8JsonWriter json, string? model)
    {
        TraceSampler sampler;
        lock (gate) sampler = model is null ? common : own.GetValueOrDefault(model) ?? common;
        sampler.Settings.Write(json, sampler.Left);
    }

    /// <summary>Changes the settings of a model, or (null) those for all. Counting begins anew where they are others, and for whom they were sent.</summary>
    public void Change(string? model, JsonElement fields)
    {
        lock (gate)
        {
            if (model is null) forAll = forAll.With(fields);
            else if (wishes.GetValueOrDefault(model, TraceWish.Nothing).With(fields) is var wish && wish != TraceWish.Nothing) wishes[model] = wish;
            else wishes.Remove(model);

            var before = own.Values.Append(common).ToList();
            var below = forAll.Over(TraceSettings.Default);
            common = Keep(common, below, changed: model is null);
            own = wishes.ToFrozenDictionary(w => w.Key, w => Keep(own.GetValueOrDefault(w.Key), w.Value.Over(below), changed: w.Key == model));
            var now = own.Values.Append(common).ToList();
            tracing = now.Exists(s => s.Settings.Timestamps) ? new Plan(common, own) : null;
            foreach (var sampler in before.Except(now)) sampler.Retire();
        }
    }

    /// <summary>Writes what is kept.</summary>
    public void Dispose()
    {
        lock (gate)
            foreach (var sampler in own.Values.Append(common)) sampler.Retire();
    }

    private TraceSampler Keep(TraceSampler? before, TraceSettings now, bool changed) =>
        before is not null && before.Settings == now && !changed ? before : new TraceSampler(now, log);

    private sealed record Plan(TraceSampler Common, FrozenDictionary<string, TraceSampler> Own);
}
