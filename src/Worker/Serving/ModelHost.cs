using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Configuration;
using Sluice.Worker.Generation;
using Sluice.Worker.Logging;
using Sluice.Worker.Models;
using Sluice.Worker.Models.Cache;
using Sluice.Worker.Models.Inspection;
using Sluice.Worker.Providers;
using Sluice.Worker.Runtime;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Serving;

/// <summary>
/// Loads the models at the start, loads changed models later, and reports whether the worker is ready.
/// </summary>
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
        this.settings = settings;
        this.timeline = timeline;
        this.log = log;
        // TensorRT builds an engine for the largest batch that the worker runs.
        Providers = new ExecutionProviders(settings.Providers with
        {
            TensorRtMaxBatch = settings.Providers.TensorRtMaxBatch ?? Math.Max(1, settings.Batching.MaxRows),
        });
        // A GPU is one stream. A CPU runs as many models concurrently as it has cores.
        Slots = new ExecutionSlots(settings.Providers.RequestsGpu ? 1 : Environment.ProcessorCount);
        cache = new OptimizedModelCache(
            settings.Cache,
            settings.Providers.Names,
            TimeProvider.System,
            line => log.Info(nameof(OptimizedModelCache), line));
        Repository = new ModelRepository(
            settings.ModelRepository,
            settings.Models,
            settings.Versions,
            settings.ExplicitControl,
            LoadOne);
    }

    public ModelRepository Repository { get; }

    /// <summary>Execution providers that run the models, and the providers that were skipped.</summary>
    public ExecutionProviders Providers { get; }

    public ExecutionSlots Slots { get; }

    /// <summary>True if all models are loaded and warm, and the worker does not drain.</summary>
    public bool Ready => ready && !draining;

    /// <summary>Loads and warms up all models. Throws if a model cannot be served.</summary>
    public void Load()
    {
        OrtEnv.Instance();
        timeline.Mark("ort");
        Repository.Load();
        timeline.Mark("model");
        foreach (var model in Repository.All) model.WarmUp();
        ConfirmLoads();
        timeline.Mark("warmup");
        foreach (var model in Repository.All)
            log.Info(nameof(ModelHost), $"Model {model.Name} placed on {model.Session.Placement}");
        foreach (var (provider, why) in Providers.Skipped)
            log.Info(nameof(ModelHost), $"Provider {provider} skipped: {why}");
        ready = true;
        if (settings.Poll > TimeSpan.Zero) _ = PollAsync();
    }

    public void Drain()
    {
        draining = true;
        cache.StopMarking();
        EngineMarks.Stop();
    }

    /// <summary>Returns the text generator of a model. Throws an error with status 400 if the model has none.</summary>
    public static TextGenerator Generator(LoadedModel model) => model.Generator
        ?? throw new InvalidRequestException(
            $"model '{model.Name}' does not generate text: it has no key/value cache (inputs past_key_values.*) with "
                + "tokenizer.json and config.json or genai_config.json, and no metadata sluice.task=text-generation");

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
        // The inspection runs before ONNX Runtime reads the file.
        var facts = ModelInspector.Inspect(path, settings.Limits);
        if (ModelFolder.FindEmbeddings(path) is { } embeddings) ModelInspector.Inspect(embeddings, settings.Limits);
        var model = cache.Load(facts, (file, optimized) =>
        {
            var location = new ModelFile(path, file, optimized, facts.InitializerBytes,
                facts.HasCache ? settings.Generation.Threads ?? Environment.ProcessorCount : 1);
            return new LoadedModel(
                name, version, location, Providers, Slots, settings.Batching, settings.Generation);
        });
        // If the preferred providers are not available, the CPU runs the models with all its cores.
        if (Providers.First == "cpu") Slots.Widen(Environment.ProcessorCount);
        // At the start, all models are loaded first and warmed up afterwards. A model that is loaded later is warmed up
        // before it serves requests.
        if (!ready) return model;
        model.WarmUp();
        ConfirmLoads();
        return model;
    }

    /// <summary>
    /// Loads changed models. A change must look the same in two successive polls, because a file that is still being
    /// written is incomplete.
    /// </summary>
    private async Task PollAsync()
    {
        using var timer = new PeriodicTimer(settings.Poll, TimeProvider.System);
        var served = Repository.ReadFingerprints();
        var last = Repository.ReadFingerprints();
        try
        {
            while (await timer.WaitForNextTickAsync(stopping.Token))
            {
                var now = Repository.ReadFingerprints();
                foreach (var (name, look) in now.Where(n => Wanted(n.Key)))
                {
                    if (served.GetValueOrDefault(name) == look || last.GetValueOrDefault(name) != look) continue;
                    await ChangeAsync(
                        Repository.LoadAsync(name, stopping.Token),
                        $"Model {name} reloaded, because its files changed");
                    served = new Dictionary<string, string>(served) { [name] = look };
                }

                foreach (var name in Repository.Names.Where(n => !now.ContainsKey(n)))
                    await ChangeAsync(
                        Repository.UnloadAsync(name, stopping.Token),
                        $"Model {name} unloaded, because its files are gone");
                last = now;
            }
        }
        catch (OperationCanceledException)
        {
            // The worker stops.
        }
    }

    /// <summary>
    /// Returns whether a changed file of this model is loaded. With explicit control, requests load models; a new file
    /// loads nothing.
    /// </summary>
    private bool Wanted(string name) => settings.ExplicitControl ? Repository.Names.Contains(name)
        : settings.Models.Count == 0 || settings.Models.Contains(name);

    private async Task ChangeAsync(Task change, string done)
    {
        try
        {
            await change;
            log.Info(nameof(ModelHost), done);
        }
        catch (InvalidRequestException e)
        {
            log.Error(nameof(ModelHost), e.Message);
        }
    }
}
