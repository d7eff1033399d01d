using System.Globalization;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Doctor;
using Sluice.Worker.Providers;

namespace Sluice.Worker.Runtime;

/// <summary>
/// What runs the models, in the order of SLUICE_EXECUTION_PROVIDERS. Under the policy <c>require</c> a provider that
/// cannot be had stops the worker with the missing piece; under <c>prefer</c> it is skipped and its reason kept. There is
/// no silent CPU: what was skipped and where each model's nodes were placed is told.
/// </summary>
public sealed class ExecutionProviders
{
    private readonly ProviderSettings settings;
    private readonly Dictionary<string, string> skipped = new(StringComparer.Ordinal);
    private readonly HashSet<string> preloaded = [];

    public ExecutionProviders(IReadOnlyList<string> wished) : this(new ProviderSettings { Wished = ProviderSettings.Checked(wished) })
    {
    }

    public ExecutionProviders(ProviderSettings settings) => this.settings = settings;

    /// <summary>Providers that were wished and cannot be had, each with its reason; only under <c>prefer</c>.</summary>
    public IReadOnlyDictionary<string, string> Skipped => skipped;

    /// <summary>Wished providers that could be had so far, in order, the CPU last.</summary>
    public IReadOnlyList<string> Had => [.. settings.Wished.Where(w => w != "cpu" && !skipped.ContainsKey(w)), "cpu"];

    /// <summary>The first of <see cref="Had"/>: what runs the models.</summary>
    public string First => settings.Wished.FirstOrDefault(w => w != "cpu" && !skipped.ContainsKey(w)) ?? "cpu";

    /// <summary>
    /// Opens a model on the wished providers; its first run then proves them (<see cref="Placed"/>). Throws with the
    /// missing piece; a file that is no model throws in ONNX Runtime's words.
    /// </summary>
    /// <param name="path">The model's file.</param>
    /// <param name="optimised">It is an optimised copy: the graph is taken as it is.</param>
    public (InferenceSession Session, PlacementProfile Profile) Open(string path, bool optimised = false)
    {
        while (true)
        {
            PlacementProfile? profile = null;
            try
            {
                using var options = Options(path);
                if (optimised) options.GraphOptimizationLevel = GraphOptimizationLevel.ORT_DISABLE_ALL;
                profile = PlacementProfile.Begin(options, First == "cpu");
                return (new InferenceSession(path, options), profile);
            }
            catch (OnnxRuntimeException e) when (IsOfDevice(e))
            {
                profile?.Dispose();
                // Each round skips one provider more, or throws; without any left no error is the device's.
                SkipOrThrow(path, e);
            }
            catch
            {
                profile?.Dispose();
                throw;
            }
        }
    }

    /// <summary>Where the first run's nodes were placed; throws when that may not be served.</summary>
    /// <param name="path">The model's file.</param>
    /// <param name="session">Its session.</param>
    /// <param name="profile">What <see cref="Open"/> gave with it.</param>
    /// <param name="ran">False: the model refused its first run.</param>
    public ModelPlacement Placed(string path, InferenceSession session, PlacementProfile profile, bool ran = true)
    {
        // With the CPU alone the count needs no run.
        var placement = profile.End(session) with { Complete = ran || First == "cpu" };
        return placement.Refusal(Name(path), Had, settings) is { } refusal ? throw new InvalidOperationException(refusal) : placement;
    }

    /// <summary>An error of the device or its libraries, not of the model or what it was given.</summary>
    public bool IsOfDevice(OnnxRuntimeException error) => First != "cpu" && ProviderError.IsOfDevice(error.Message);

    /// <summary>Takes the first provider out after it failed on a model; throws when it is required.</summary>
    public void SkipOrThrow(string path, Exception error)
    {
        var gpu = First;
        var reason = Explain(gpu, error);
        if (settings.Policy == ProviderPolicy.Require)
            throw new InvalidOperationException($"model {Name(path)} cannot run on {gpu}: {reason}", error);
        skipped[gpu] = reason;
    }

    /// <summary>The option by which CUDA graphs are wished of a provider, where it is on.</summary>
    public string? GraphOption(string provider) => GraphOption(ProviderAppender.Of(provider, settings));

    /// <summary>The number of the device that a provider was given.</summary>
    public int Device(string provider) =>
        int.TryParse(ProviderAppender.Of(provider, settings).GetValueOrDefault("device_id"), CultureInfo.InvariantCulture, out var id) ? id : 0;

    /// <summary>How the host reaches the memory of CUDA's device; throws when it cannot.</summary>
    internal DeviceCopy Copy(string provider) =>
        new CudaCopy(GpuLibraries.For("cuda")[0], GpuLibraries.Folders(settings.CudaLibraryPath), Device(provider));

    private static string? GraphOption(IReadOnlyDictionary<string, string> options) =>
        new[] { "enable_cuda_graph", "trt_cuda_graph_enable" }.FirstOrDefault(options.On);

    private SessionOptions Options(string path)
    {
        var options = new SessionOptions
        {
            // Measured (facts on ONNX Runtime, section 3): one thread a run and several callers beat several threads a
            // run, which spin; the callers are the worker's own bounded lanes.
            IntraOpNumThreads = 1,
            InterOpNumThreads = 1,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
        };
        try
        {
            foreach (var name in settings.Wished.Where(w => w != "cpu" && !skipped.ContainsKey(w))) Append(options, name, path);
            return options;
        }
        catch
        {
            options.Dispose();
            throw;
        }
    }

    private void Append(SessionOptions options, string name, string path)
    {
        if (preloaded.Add(name)) GpuLibraries.Load(GpuLibraries.For(name), GpuLibraries.Folders(settings.CudaLibraryPath));
        // What the model's declaration lacks is an error under either policy: skipping would hide a typing error.
        var with = ForModel(name, path);
        try
        {
            ProviderAppender.Append(options, name, with);
        }
        catch (Exception e) when (e is OnnxRuntimeException or EntryPointNotFoundException)
        {
            var reason = Explain(name, e);
            if (settings.Policy == ProviderPolicy.Require)
                throw new InvalidOperationException($"execution provider {name} cannot be used: {reason}", e);
            skipped[name] = reason;
        }
    }

    private IReadOnlyDictionary<string, string> ForModel(string name, string path)
    {
        var options = ProviderAppender.Of(name, settings);
        if (name == "webgpu") return options;
        var graph = GraphOption(options);
        if (name != "tensorrt" && graph is null) return options;
        var inputs = OnnxInputs.Read(path);
        var model = Name(path);
        if (graph is not null && ShapeProfiles.NoCudaGraph(model, graph, inputs) is { } no) throw new InvalidOperationException(no);
        return name == "tensorrt"
            ? TensorRtCache.Place(settings, path, ShapeProfiles.Complete(model, inputs, options, settings.TensorRtMaxBatch)) : options;
    }

    /// <summary>The lowest missing piece of the stack, which says more than the error that follows from it.</summary>
    private string Explain(string provider, Exception error)
    {
        if (provider == "webgpu") return ProviderError.Explain(provider, error.Message);
        var report = StackProbe.Look(settings, tryProviders: false);
        return StackVerdict.Missing(report, provider) ?? ProviderError.Explain(provider, error.Message);
    }

    /// <summary>A model's name from <c>repository/name/version/model.onnx</c>.</summary>
    private static string Name(string path) => Path.GetFileName(Path.GetDirectoryName(Path.GetDirectoryName(Path.GetFullPath(path)))) ?? path;
}
