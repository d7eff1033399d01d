using System.Globalization;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Devices;
using Sluice.Worker.Doctor;
using Sluice.Worker.Providers;

namespace Sluice.Worker.Runtime;

/// <summary>
/// Opens models on the execution providers in the order of SLUICE_EXECUTION_PROVIDERS. With the policy
/// <c>require</c>, an unavailable provider stops the worker with the missing piece. With <c>prefer</c>, it is skipped
/// and the reason is kept. The worker never falls back to the CPU silently: it reports skipped providers and the
/// placement of each model's nodes.
/// </summary>
public sealed class ExecutionProviders
{
    private readonly ProviderSettings settings;
    private readonly Dictionary<string, string> skipped = new(StringComparer.Ordinal);
    private readonly HashSet<string> preloaded = [];

    public ExecutionProviders(IReadOnlyList<string> requested)
        : this(new ProviderSettings { Requested = ProviderSettings.Checked(requested) })
    {
    }

    public ExecutionProviders(ProviderSettings settings) => this.settings = settings;

    /// <summary>
    /// Requested providers that are not available, with the reasons. Empty unless the policy is <c>prefer</c>.
    /// </summary>
    public IReadOnlyDictionary<string, string> Skipped => skipped;

    /// <summary>Requested providers that are available so far, in order, the CPU last.</summary>
    public IReadOnlyList<string> Available => [.. Gpus, "cpu"];

    /// <summary>The first of <see cref="Available"/>, which runs the models.</summary>
    public string First => Gpus.FirstOrDefault("cpu");

    private IEnumerable<string> Gpus => settings.Requested.Where(p => p != "cpu" && !skipped.ContainsKey(p));

    /// <summary>
    /// Opens a model on the requested providers. Its first run then verifies the providers (<see cref="Placed"/>).
    /// Throws with the missing piece. For an invalid model file, it throws ONNX Runtime's error.
    /// </summary>
    /// <param name="path">Path of the model's file.</param>
    /// <param name="optimized">True if the file is an optimized copy. Its graph is not optimized again.</param>
    /// <param name="threads">Number of threads of a run on the CPU, at least 1.</param>
    public (InferenceSession Session, PlacementProfile Profile) Open(
        string path,
        bool optimized = false,
        int threads = 1)
    {
        while (true)
        {
            PlacementProfile? profile = null;
            try
            {
                using var options = Options(path);
                options.IntraOpNumThreads = threads;
                // Between two runs, the cores belong to those who write the responses (ADR 98).
                if (threads > 1) options.AddSessionConfigEntry("session.force_spinning_stop", "1");
                if (optimized) options.GraphOptimizationLevel = GraphOptimizationLevel.ORT_DISABLE_ALL;
                profile = PlacementProfile.Start(options, First == "cpu");
                return (new InferenceSession(path, options), profile);
            }
            catch (OnnxRuntimeException e) when (IsOfDevice(e))
            {
                profile?.Dispose();
                // Each iteration skips one more provider or throws. Without a provider, no error is a device error.
                SkipOrThrow(path, e);
            }
            catch (Exception e)
            {
                profile?.Dispose();
                if (MissingKernel.Explain(e, Available, skipped) is { } reason)
                    throw new NotSupportedException(reason, e);
                throw;
            }
        }
    }

    /// <summary>Opens a small model of the worker itself on the available providers.</summary>
    /// <param name="model">The bytes of the model.</param>
    /// <param name="path">Path of the served model, whose provider options are used.</param>
    public InferenceSession OpenOwn(byte[] model, string path)
    {
        using var options = Options(path);
        return new InferenceSession(model, options);
    }

    /// <summary>Returns the placement of the nodes in the first run. Throws if it must not be served.</summary>
    /// <param name="path">Path of the model's file.</param>
    /// <param name="session">Session of the model.</param>
    /// <param name="profile">The profile that <see cref="Open"/> returned with the session.</param>
    /// <param name="ran">False if the model rejected its first run.</param>
    public ModelPlacement Placed(string path, InferenceSession session, PlacementProfile profile, bool ran = true)
    {
        // With the CPU alone, the count does not depend on a run.
        var placement = profile.End(session) with { Complete = ran || First == "cpu" };
        return placement.Refusal(Name(path), Available, settings) is { } refusal
            ? throw new InvalidOperationException(refusal)
            : placement;
    }

    /// <summary>Returns whether an error is of the device or its libraries, not of the model or its inputs.</summary>
    public bool IsOfDevice(OnnxRuntimeException error) => First != "cpu" && ProviderError.IsOfDevice(error.Message);

    /// <summary>Skips the first provider after it failed on a model. Throws if it is required.</summary>
    public void SkipOrThrow(string path, Exception error)
    {
        var gpu = First;
        var reason = Explain(gpu, error);
        if (settings.Policy == ProviderPolicy.Require)
            throw new InvalidOperationException($"model {Name(path)} cannot run on {gpu}: {reason}", error);
        skipped[gpu] = reason;
    }

    /// <summary>Returns the option that requests CUDA graphs of a provider, if it is on.</summary>
    public string? GraphOption(string provider) => GraphOption(ProviderAppender.OptionsFor(provider, settings));

    /// <summary>Returns the device number of a provider.</summary>
    public int Device(string provider) =>
        ProviderAppender.OptionsFor(provider, settings).GetValueOrDefault("device_id") is { } text
            && int.TryParse(text, CultureInfo.InvariantCulture, out var id) ? id : 0;

    /// <summary>Returns the copier between the host and CUDA's device. Throws if it is not available.</summary>
    internal DeviceCopy Copy(string provider) =>
        new CudaCopy(GpuLibraries.For("cuda")[0], GpuLibraries.Folders(settings.CudaLibraryPath), Device(provider));

    private static string? GraphOption(IReadOnlyDictionary<string, string> options) =>
        new[] { "enable_cuda_graph", "trt_cuda_graph_enable" }.FirstOrDefault(options.On);

    private SessionOptions Options(string path)
    {
        var options = new SessionOptions
        {
            // Measured (facts on ONNX Runtime, section 3): one thread per run with several callers is faster than
            // several threads per run, which spin. The callers are the worker's own slots, whose number is limited.
            IntraOpNumThreads = 1,
            InterOpNumThreads = 1,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
        };
        try
        {
            foreach (var name in Gpus) Append(options, name, path);
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
        if (preloaded.Add(name))
            GpuLibraries.Load(GpuLibraries.For(name), GpuLibraries.Folders(settings.CudaLibraryPath));
        // A missing declaration for the model is an error under both policies, because skipping would hide a typing
        // error.
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
        var options = ProviderAppender.OptionsFor(name, settings);
        if (name == "webgpu") return options;
        var graph = GraphOption(options);
        if (name != "tensorrt" && graph is null) return options;
        var inputs = OnnxInputs.Read(path);
        var model = Name(path);
        if (graph is not null && ShapeProfiles.NoCudaGraph(model, graph, inputs) is { } reason)
            throw new InvalidOperationException(reason);
        if (name != "tensorrt") return options;
        var complete = ShapeProfiles.Complete(model, inputs, options, settings.TensorRtMaxBatch);
        return TensorRtCache.AddFolders(settings, path, complete);
    }

    /// <summary>
    /// Returns the lowest missing piece of the stack, which explains more than the error that follows from it.
    /// </summary>
    private string Explain(string provider, Exception error)
    {
        if (provider == "webgpu") return ProviderError.Explain(provider, error.Message);
        var report = StackProbe.Inspect(settings, tryProviders: false);
        return StackVerdict.Missing(report, provider) ?? ProviderError.Explain(provider, error.Message);
    }

    /// <summary>Returns a model's name from <c>repository/name/version/model.onnx</c>.</summary>
    private static string Name(string path)
    {
        var version = Path.GetDirectoryName(Path.GetFullPath(path));
        return Path.GetFileName(Path.GetDirectoryName(version)) ?? path;
    }
}
