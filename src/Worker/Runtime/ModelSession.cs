using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Providers;

namespace Sluice.Worker.Runtime;

/// <summary>
/// An ONNX Runtime session that is not disposed while it runs, because that would crash the process instead of
/// throwing an exception. Runs are counted, and the last run after <see cref="Dispose"/> closes the session.
/// </summary>
public sealed class ModelSession : IDisposable
{
    private readonly string path;
    private readonly bool optimized;
    private readonly int threads;
    private readonly ExecutionProviders providers;
    private readonly Lock gate = new();
    private InferenceSession session;
    private PlacementProfile profile;

    /// <summary>
    /// Thread for all runs if they can be captured as CUDA graphs. Null: any thread can run the session.
    /// </summary>
    private RunThread? graphs;
    private int running;
    private bool closing;
    private bool refused;

    /// <summary>Opens the session.</summary>
    /// <param name="path">Path of the file to load.</param>
    /// <param name="providers">Execution providers that run the model.</param>
    /// <param name="optimized">True if the file is an optimized copy. Its graph is not optimized again.</param>
    /// <param name="threads">Number of threads of a run on the CPU, at least 1.</param>
    public ModelSession(string path, ExecutionProviders providers, bool optimized = false, int threads = 1)
    {
        this.path = path;
        this.providers = providers;
        this.optimized = optimized;
        this.threads = threads;
        Open();
        Inputs = session.InputNames.Select(n => KeyValuePair.Create(n, session.InputMetadata[n])).ToArray();
        Outputs = session.OutputNames.Select(n => KeyValuePair.Create(n, session.OutputMetadata[n])).ToArray();
        Metadata = session.ModelMetadata.CustomMetadataMap;
    }

    public IReadOnlyList<KeyValuePair<string, NodeMetadata>> Inputs { get; }

    public IReadOnlyList<KeyValuePair<string, NodeMetadata>> Outputs { get; }

    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Placement of the nodes in the first run. Null before the first run.</summary>
    public ModelPlacement? Placement { get; private set; }

    /// <summary>The first requested provider that is available.</summary>
    public string Provider { get; private set; }

    /// <summary>The option that requests CUDA graphs of the provider, if it is on.</summary>
    public string? GraphOption => providers.GraphOption(Provider);

    /// <summary>Device number of the provider.</summary>
    public int Device => providers.Device(Provider);

    /// <summary>
    /// Placement of the nodes as recorded by ONNX Runtime. Available before the first run, but less complete than
    /// <see cref="Placement"/>.
    /// </summary>
    public ModelPlacement Recorded => PlacementReader.Read(session);

    /// <summary>
    /// Determines the placement of the nodes. Call this after the first run, before the model serves requests. Throws
    /// if the placement must not be served.
    /// </summary>
    public void Prove() => Placement ??= providers.Placed(path, session, profile, ran: !refused);

    /// <summary>
    /// Handles an error of the first run, before the model serves requests. If the failed provider is only preferred,
    /// opens the model again without it. If it is required, throws. Returns false if the error is not a device error.
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

    /// <summary>
    /// Handles wrong results of the first run, before the model serves requests. If the provider is only preferred,
    /// opens the model again without it. If it is required, throws.
    /// </summary>
    public void Abandon(Exception error)
    {
        providers.SkipOrThrow(path, error);
        session.Dispose();
        profile.Dispose();
        Open();
    }

    /// <summary>Graph number of a run that neither captures nor replays a CUDA graph.</summary>
    public const int NoGraph = -1;

    /// <summary>Runs the model. ONNX Runtime allocates the outputs.</summary>
    public IDisposableReadOnlyCollection<OrtValue> Run(RunOptions options, IReadOnlyCollection<string> inputNames,
        IReadOnlyCollection<OrtValue> inputs, IReadOnlyCollection<string> outputNames)
    {
        IDisposableReadOnlyCollection<OrtValue>? results = null;
        using var run = Enter();
        if (graphs is null) return session.Run(options, inputNames, inputs, outputNames);
        OnThread(options, NoGraph, () => results = session.Run(options, inputNames, inputs, outputNames));
        return results!;
    }

    /// <summary>Runs the model and writes the outputs into the caller's values.</summary>
    public void Run(RunOptions options, IReadOnlyCollection<string> inputNames, IReadOnlyCollection<OrtValue> inputs,
        IReadOnlyCollection<string> outputNames, IReadOnlyCollection<OrtValue> outputs)
    {
        using var run = Enter();
        if (graphs is null) session.Run(options, inputNames, inputs, outputNames, outputs);
        else OnThread(options, NoGraph, () => session.Run(options, inputNames, inputs, outputNames, outputs));
    }

    /// <summary>Runs the model with bound inputs and outputs. The call takes 1.5 us and allocates nothing.</summary>
    /// <param name="options">Options of this run.</param>
    /// <param name="binding">Inputs and outputs.</param>
    /// <param name="graph">Number of the CUDA graph that is captured for this binding and replayed. -1: no
    /// graph.</param>
    public void Run(RunOptions options, OrtIoBinding binding, int graph = NoGraph)
    {
        using var run = Enter();
        if (graphs is null) session.RunWithBinding(options, binding);
        else BoundOnThread(options, binding, graph);
    }

    /// <summary>Creates an allocator of device memory. The caller disposes it before the session.</summary>
    public OrtAllocator NewAllocator(OrtMemoryInfo info)
    {
        using var run = Enter();
        return new OrtAllocator(session, info);
    }

    /// <summary>Creates an empty binding. The caller fills it in and disposes it.</summary>
    public OrtIoBinding NewBinding()
    {
        using var run = Enter();
        return session.CreateIoBinding();
    }

    /// <summary>Opens another model of the same folder on the providers of this session.</summary>
    public ModelSession OpenBeside(string other) => new(other, providers, threads: threads);

    /// <summary>Opens a small model of the worker itself on the providers of this session.</summary>
    public InferenceSession OpenOwn(byte[] model) => providers.OpenOwn(model, path);

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
        (session, profile) = providers.Open(path, optimized, threads);
        Provider = providers.First;
        graphs?.Dispose();
        graphs = GraphOption is null ? null : new RunThread();
    }

    /// <summary>
    /// Runs an action on the thread of the session. With CUDA graphs on, every run sets a graph number, because ONNX
    /// Runtime uses the same number for all runs that set none.
    /// </summary>
    private void OnThread(RunOptions options, int graph, Action run)
    {
        options.AddRunConfigEntry("gpu_graph_id", graph.ToString(CultureInfo.InvariantCulture));
        graphs!.Run(run);
    }

    /// <summary>Separate from its caller, where the closure would be allocated for each run.</summary>
    private void BoundOnThread(RunOptions options, OrtIoBinding binding, int graph) =>
        OnThread(options, graph, () => session.RunWithBinding(options, binding));

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
