using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Generation;
using Sluice.Worker.Logging;
using Sluice.Worker.Models.Cache;
using Sluice.Worker.Models.Inspection;
using Sluice.Worker.Providers;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Models;

/// <summary>The loaded models with what runs them, and how far the start has come.</summary>
internal sealed class ModelHost : IDisposable
{
    private readonly WorkerSettings settings;
    private readonly StartTimeline timeline;
    private readonly WorkerLog log;
    private readonly OptimizedModelCache cache;
    private readonly CancellationTokenSource stopping = new();
    private volatile bool ready;
    private volatile bool draining;

    public ModelHost(WorkerSettings settings, StartTimeline timeline, WorkerLog log)
    {
        (this.settings, this.timeline, this.log) = (settings, timeline, log);
        // An engine is built for the largest batch that is run.
        Providers = new ExecutionProviders(settings.Providers with
        {
            TensorRtMaxBatch = settings.Providers.TensorRtMaxBatch ?? Math.Max(1, settings.Batching.MaxRows),
        });
        // A GPU is one stream; a CPU runs as many at once as it has cores.
        Lanes = new RunLanes(settings.Providers.WishesGpu ? 1 : Environment.ProcessorCount);
        cache = new OptimizedModelCache(settings.Cache, settings.Providers.Names, TimeProvider.System, line => log.Info(nameof(OptimizedModelCache), line));
        Repository = new ModelRepository(settings.ModelRepository, settings.Models, settings.Versions, settings.ExplicitControl, LoadOne);
    }

    public ModelRepository Repository { get; }

    /// <summary>What the models run on, and what was skipped.</summary>
    public ExecutionProviders Providers { get; }

    public RunLanes Lanes { get; }

    /// <summary>All models are loaded and warm, and nobody asked to stop.</summary>
    public bool Ready => ready && !draining;

    /// <summary>Loads and warms everything; throws when a model cannot be served.</summary>
    public void Load()
    {
        OrtEnv.Instance();
        timeline.Mark("ort");
        Repository.Load();
        timeline.Mark("model");
        foreach (var model in Repository.All) model.WarmUp();
        ConfirmLoads();
        timeline.Mark("warmup");
        foreach (var model in Repository.All) log.Info(nameof(ModelHost), $"placed: {model.Name} {model.Session.Placement}");
        foreach (var (provider, why) in Providers.Skipped) log.Info(nameof(ModelHost), $"skipped: {provider}: {why}");
        ready = true;
        if (settings.Poll > TimeSpan.Zero) _ = PollAsync();
    }

    public void Drain()
    {
        draining = true;
        cache.StopMarking();
        EngineMarks.Stop();
    }

    /// <summary>Throws 400 when the model makes no text.</summary>
    public static TextGenerator Generator(LoadedModel model) => model.Generator
        ?? throw new InvalidRequestException(
            $"model '{model.Name}' generates no text: its metadata has no sluice.task=text-generation");

    public void Dispose()
    {
        stopping.Cancel();
        Repository.Dispose();
        cache.Dispose();
        stopping.Dispose();
    }

    private void ConfirmLoads()
    {
        cache.ConfirmLoads();
        EngineMarks.Confirm();
    }

    private LoadedModel LoadOne(string name, string version, string path)
    {
        // Before ONNX Runtime sees it.
        var facts = ModelInspector.Inspect(path, settings.Limits);
        var model = cache.Load(facts, (file, optimised) =>
            new LoadedModel(name, version, new ModelFile(path, file, optimised, facts.InitializerBytes), Providers, Lanes, settings.Batching));
        // What was preferred and could not be had: the CPU serves, with all its cores.
        if (Providers.First == "cpu") Lanes.Widen(Environment.ProcessorCount);
        // At the start all are loaded first; later nobody waits, and a model is warm before it serves.
        if (!ready) return model;
        model.WarmUp();
        ConfirmLoads();
        return model;
    }

    /// <summary>Loads what changed, once it has looked the same twice: a copy that is still being written is not half a model.</summary>
    private async Task PollAsync()
    {
        using var timer = new PeriodicTimer(settings.Poll, TimeProvider.System);
        var (served, last) = (Repository.Look(), Repository.Look());
        try
        {
            while (await timer.WaitForNextTickAsync(stopping.Token))
            {
                var now = Repository.Look();
                foreach (var (name, look) in now.Where(n => Wanted(n.Key)))
                {
                    if (served.GetValueOrDefault(name) == look || last.GetValueOrDefault(name) != look) continue;
                    await ChangeAsync(name, Repository.LoadAsync(name, stopping.Token));
                    served = new Dictionary<string, string>(served) { [name] = look };
                }

                foreach (var name in Repository.Names.Where(n => !now.ContainsKey(n)))
                    await ChangeAsync(name, Repository.UnloadAsync(name, stopping.Token));
                last = now;
            }
        }
        catch (OperationCanceledException)
        {
            // The worker stops.
        }
    }

    /// <summary>Where models are loaded by requests, files that appear load nothing by themselves.</summary>
    private bool Wanted(string name) => settings.ExplicitControl ? Repository.Names.Contains(name)
        : settings.Models.Count == 0 || settings.Models.Contains(name);

    private async Task ChangeAsync(string name, Task change)
    {
        try
        {
            await change;
            log.Info(nameof(ModelHost), $"model {name}: changed in the repository, and here");
        }
        catch (InvalidRequestException e)
        {
            log.Error(nameof(ModelHost), e.Message);
        }
    }
}
