using System.Collections.Frozen;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Generation;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Models;

/// <summary>The loaded models with what runs them, and how far the start has come.</summary>
public sealed class ModelHost(WorkerSettings settings, StartTimeline timeline) : IDisposable
{
    private readonly ModelRepository repository = new(settings.ModelRepository, settings.Models,
        new ExecutionProviders(settings.Providers));

    private FrozenDictionary<LoadedModel, TextGenerator> generators = FrozenDictionary<LoadedModel, TextGenerator>.Empty;
    private volatile bool ready;
    private volatile bool draining;

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
        foreach (var model in repository.All.Where(m => m.IsGenerator && repository.Providers.First != "cpu"))
            // With past and present in the CPU's memory, attention on another provider gives wrong tokens and no error.
            throw new InvalidOperationException($"model {model.Name} generates text, and its cache is in the CPU's memory: on "
                + $"{repository.Providers.First} its answers would be wrong; serve it with SLUICE_EXECUTION_PROVIDERS=cpu");
        generators = repository.All.Where(m => m.IsGenerator)
            .ToFrozenDictionary(m => m, m => new TextGenerator(m, Lanes));
        foreach (var model in repository.All) model.WarmUp();
        foreach (var generator in generators.Values) generator.WarmUp();
        timeline.Mark("warmup");
        foreach (var model in repository.All)
        {
            model.Session.Prove();
            Console.WriteLine($"placed: {model.Name} {model.Session.Placement}");
        }

        foreach (var (provider, why) in repository.Providers.Skipped) Console.WriteLine($"skipped: {provider}: {why}");
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
        Lanes.Dispose();
    }
}
