using System.Collections.Frozen;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Generation;
using Sluice.Worker.Models.Cache;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Models;

/// <summary>The loaded models with what runs them, and how far the start has come.</summary>
public sealed class ModelHost : IDisposable
{
    private readonly OptimizedModelCache cache;
    private readonly ModelRepository repository;

    private FrozenDictionary<LoadedModel, TextGenerator> generators = FrozenDictionary<LoadedModel, TextGenerator>.Empty;
    private volatile bool ready;
    private volatile bool draining;
    private readonly StartTimeline timeline;

    public ModelHost(WorkerSettings settings, StartTimeline timeline)
    {
        this.timeline = timeline;
        cache = new OptimizedModelCache(settings.Cache, settings.ExecutionProviders, TimeProvider.System, Console.WriteLine);
        repository = new ModelRepository(settings.ModelRepository, settings.Models,
            new ExecutionProviders(settings.ExecutionProviders), settings.Limits, cache);
    }

    public ModelRepository Repository => repository;

    public RunLanes Lanes { get; } = new(Environment.ProcessorCount);

    /// <summary>All models are loaded and warm, and nobody asked to stop.</summary>
    public bool Ready => ready && !draining;

    /// <summary>Loads and warms everything; throws when a model cannot be served.</summary>
    public void Load()
    {
        OrtEnv.Instance();
        timeline.Mark("ort");
        repository.Load();
        timeline.Mark("model");
        generators = repository.All.Where(m => m.IsGenerator)
            .ToFrozenDictionary(m => m, m => new TextGenerator(m, Lanes));
        foreach (var model in repository.All) model.WarmUp();
        foreach (var generator in generators.Values) generator.WarmUp();
        timeline.Mark("warmup");
        ready = true;
    }

    public void Drain() => draining = true;

    /// <summary>Throws 400 when the model makes no text.</summary>
    public TextGenerator Generator(LoadedModel model) => generators.GetValueOrDefault(model)
        ?? throw new InvalidRequestException(
            $"model '{model.Name}' generates no text: its metadata has no sluice.task=text-generation");

    public void Dispose()
    {
        foreach (var generator in generators.Values) generator.Dispose();
        repository.Dispose();
        cache.Dispose();
        Lanes.Dispose();
    }
}
