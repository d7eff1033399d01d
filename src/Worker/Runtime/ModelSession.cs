using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Providers;

namespace Sluice.Worker.Runtime;

/// <summary>
/// An ONNX Runtime session that is never disposed while it runs (that would be a crash of the process, not an
/// exception): runs are counted, and the last one out closes it.
/// </summary>
public sealed class ModelSession : IDisposable
{
    private readonly string path;
    private readonly bool optimised;
    private readonly ExecutionProviders providers;
    private readonly Lock gate = new();
    private InferenceSession session;
    private PlacementProfile profile;

    /// <summary>Of its runs, where they may be captured as CUDA graphs; null: they may come from any thread.</summary>
    private RunThread? graphs;
    private int running;
    private bool closing;
    private bool refused;

    /// <param name="path">Of the file to load.</param>
    /// <param name="providers">What is to run it.</param>
    /// <param name="optimised">The file is an optimised copy: the graph is taken as it is.</param>
    public ModelSession(string path, ExecutionProviders providers, bool optimised = false)
    {
        (this.path, this.providers, this.optimised) = (path, providers, optimised);
        Open();
        Inputs = session.InputNames.Select(n => KeyValuePair.Create(n, session.InputMetadata[n])).ToArray();
        Outputs = session.OutputNames.Select(n => KeyValuePair.Create(n, session.OutputMetadata[n])).ToArray();
        Metadata = session.ModelMetadata.CustomMetadataMap;
    }

    public IReadOnlyList<KeyValuePair<string, NodeMetadata>> Inputs { get; }

    public IReadOnlyList<KeyValuePair<string, NodeMetadata>> Outputs { get; }

    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Where the first run's nodes were placed; null before it.</summary>
    public ModelPlacement? Placement { get; private set; }

    /// <summary>What runs it: the first wished provider that could be had.</summary>
    public string Provider { get; private set; }

    /// <summary>The option that wishes CUDA graphs of its provider, where it is on.</summary>
    public string? GraphOption => providers.GraphOption(Provider);

    /// <summary>Which of its provider's devices.</summary>
    public int Device => providers.Device(Provider);

    /// <summary>Who gets which node, as ONNX Runtime recorded it; before the first run, but not as complete as <see cref="Placement"/>.</summary>
    public ModelPlacement Recorded => PlacementReader.Read(session);

    /// <summary>After the first run, before anything is served: counts where its nodes were placed; throws when that may not be served.</summary>
    public void Prove() => Placement ??= providers.Placed(path, session, profile, ran: !refused);

    /// <summary>
    /// After the first run failed, before anything is served: opens the model again without the provider that failed, when
    /// it was only preferred; throws when it is required. False: the failure was not the device's.
    /// </summary>
    public bool Recover(OnnxRuntimeException error)
    {
        if (!providers.IsOfDevice(error))
        {
            refused = true;
            return false;
        }

        Abandon(error);
        return true;
    }

    /// <summary>After the first run, before anything is served: its provider gives what is wrong. Opens the model again without it when it was only
    /// preferred; throws when it is required.</summary>
    public void Abandon(Exception error)
    {
        providers.SkipOrThrow(path, error);
        session.Dispose();
        profile.Dispose();
        Open();
    }

    /// <summary>No CUDA graph is captured or replayed.</summary>
    public const int NoGraph = -1;

    /// <summary>Runs with outputs allocated by ONNX Runtime.</summary>
    public IDisposableReadOnlyCollection<OrtValue> Run(RunOptions options, IReadOnlyCollection<string> inputNames,
        IReadOnlyCollection<OrtValue> inputs, IReadOnlyCollection<string> outputNames)
    {
        IDisposableReadOnlyCollection<OrtValue>? results = null;
        using var run = Enter();
        if (graphs is null) return session.Run(options, inputNames, inputs, outputNames);
        OnThread(options, NoGraph, () => results = session.Run(options, inputNames, inputs, outputNames));
        return results!;
    }

    /// <summary>Runs with outputs written where the caller says.</summary>
    public void Run(RunOptions options, IReadOnlyCollection<string> inputNames, IReadOnlyCollection<OrtValue> inputs,
        IReadOnlyCollection<string> outputNames, IReadOnlyCollection<OrtValue> outputs)
    {
        using var run = Enter();
        if (graphs is null) session.Run(options, inputNames, inputs, outputNames, outputs);
        else OnThread(options, NoGraph, () => session.Run(options, inputNames, inputs, outputNames, outputs));
    }

    /// <summary>Runs what was bound before: a call of 1.5 us that allocates nothing.</summary>
    /// <param name="options">Of this run.</param>
    /// <param name="binding">Inputs and outputs.</param>
    /// <param name="graph">Number of the CUDA graph that is captured of this binding, and replayed; -1: none is.</param>
    public void Run(RunOptions options, OrtIoBinding binding, int graph = NoGraph)
    {
        using var run = Enter();
        if (graphs is null) session.RunWithBinding(options, binding);
        else BoundOnThread(options, binding, graph);
    }

    /// <summary>Memory of its device; the caller disposes of it, before the session.</summary>
    public OrtAllocator NewAllocator(OrtMemoryInfo info)
    {
        using var run = Enter();
        return new OrtAllocator(session, info);
    }

    /// <summary>A binding to be filled in by the caller, who disposes of it.</summary>
    public OrtIoBinding NewBinding()
    {
        using var run = Enter();
        return session.CreateIoBinding();
    }

    public void Dispose()
    {
        lock (gate)
        {
            if (closing) return;
            closing = true;
            if (running > 0) return;
        }

        Close();
    }

    [MemberNotNull(nameof(session), nameof(profile), nameof(Provider))]
    private void Open()
    {
        (session, profile) = providers.Open(path, optimised);
        Provider = providers.First;
        graphs?.Dispose();
        graphs = GraphOption is null ? null : new RunThread();
    }

    /// <summary>With graphs on, every run says which is its own: ONNX Runtime would take one and the same for all that say nothing.</summary>
    private void OnThread(RunOptions options, int graph, Action run)
    {
        options.AddRunConfigEntry("gpu_graph_id", graph.ToString(CultureInfo.InvariantCulture));
        graphs!.Run(run);
    }

    /// <summary>Apart from its caller, which would make a closure for each run.</summary>
    private void BoundOnThread(RunOptions options, OrtIoBinding binding, int graph) => OnThread(options, graph, () => session.RunWithBinding(options, binding));

    private Inside Enter()
    {
        lock (gate)
        {
            ObjectDisposedException.ThrowIf(closing, this);
            running++;
        }

        return new Inside(this);
    }

    private void Leave()
    {
        lock (gate)
        {
            running--;
            if (!closing || running > 0) return;
        }

        Close();
    }

    private void Close()
    {
        graphs?.Dispose();
        session.Dispose();
        profile.Dispose();
    }

    private readonly struct Inside(ModelSession session) : IDisposable
    {
        public void Dispose() => session.Leave();
    }
}
