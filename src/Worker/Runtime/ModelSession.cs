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
    private int running;
    private bool closing;
    private bool refused;

    /// <param name="path">Of the file to load.</param>
    /// <param name="providers">What is to run it.</param>
    /// <param name="optimised">The file is an optimised copy: the graph is taken as it is.</param>
    public ModelSession(string path, ExecutionProviders providers, bool optimised = false)
    {
        (this.path, this.providers, this.optimised) = (path, providers, optimised);
        (session, profile) = providers.Open(path, optimised);
        Inputs = session.InputNames.Select(n => KeyValuePair.Create(n, session.InputMetadata[n])).ToArray();
        Outputs = session.OutputNames.Select(n => KeyValuePair.Create(n, session.OutputMetadata[n])).ToArray();
        Metadata = session.ModelMetadata.CustomMetadataMap;
    }

    public IReadOnlyList<KeyValuePair<string, NodeMetadata>> Inputs { get; }

    public IReadOnlyList<KeyValuePair<string, NodeMetadata>> Outputs { get; }

    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Where the first run's nodes were placed; null before it.</summary>
    public ModelPlacement? Placement { get; private set; }

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

        providers.SkipOrThrow(path, error);
        session.Dispose();
        profile.Dispose();
        (session, profile) = providers.Open(path, optimised);
        return true;
    }

    /// <summary>Runs with outputs allocated by ONNX Runtime.</summary>
    public IDisposableReadOnlyCollection<OrtValue> Run(RunOptions options, IReadOnlyCollection<string> inputNames,
        IReadOnlyCollection<OrtValue> inputs, IReadOnlyCollection<string> outputNames)
    {
        using var run = Enter();
        return session.Run(options, inputNames, inputs, outputNames);
    }

    /// <summary>Runs with outputs written where the caller says.</summary>
    public void Run(RunOptions options, IReadOnlyCollection<string> inputNames, IReadOnlyCollection<OrtValue> inputs,
        IReadOnlyCollection<string> outputNames, IReadOnlyCollection<OrtValue> outputs)
    {
        using var run = Enter();
        session.Run(options, inputNames, inputs, outputNames, outputs);
    }

    /// <summary>Runs what was bound before: a call of 1.5 us that allocates nothing.</summary>
    public void Run(RunOptions options, OrtIoBinding binding)
    {
        using var run = Enter();
        session.RunWithBinding(options, binding);
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
        session.Dispose();
        profile.Dispose();
    }

    private readonly struct Inside(ModelSession session) : IDisposable
    {
        public void Dispose() => session.Leave();
    }
}
