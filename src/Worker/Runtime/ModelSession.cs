using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Runtime;

/// <summary>
/// An ONNX Runtime session that is never disposed while it runs (that would be a crash of the process, not an
/// exception): runs are counted, and the last one out closes it.
/// </summary>
public sealed class ModelSession : IDisposable
{
    private readonly InferenceSession session;
    private readonly Lock gate = new();
    private int running;
    private bool closing;

    /// <param name="path">Of the file to load.</param>
    /// <param name="providers">What is to run it.</param>
    /// <param name="optimised">The file is an optimised copy: the graph is taken as it is.</param>
    public ModelSession(string path, ExecutionProviders providers, bool optimised = false)
    {
        using var options = providers.Options();
        if (optimised) options.GraphOptimizationLevel = GraphOptimizationLevel.ORT_DISABLE_ALL;
        session = new InferenceSession(path, options);
        Inputs = session.InputNames.Select(n => KeyValuePair.Create(n, session.InputMetadata[n])).ToArray();
        Outputs = session.OutputNames.Select(n => KeyValuePair.Create(n, session.OutputMetadata[n])).ToArray();
        Metadata = session.ModelMetadata.CustomMetadataMap;
    }

    public IReadOnlyList<KeyValuePair<string, NodeMetadata>> Inputs { get; }

    public IReadOnlyList<KeyValuePair<string, NodeMetadata>> Outputs { get; }

    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Runs with outputs allocated by ONNX Runtime.</summary>
    public IDisposableReadOnlyCollection<OrtValue> Run(RunOptions options, IReadOnlyCollection<string> inputNames,
        IReadOnlyCollection<OrtValue> inputs, IReadOnlyCollection<string> outputNames)
    {
        Enter();
        try
        {
            return session.Run(options, inputNames, inputs, outputNames);
        }
        finally
        {
            Leave();
        }
    }

    /// <summary>Runs with outputs written where the caller says.</summary>
    public void Run(RunOptions options, IReadOnlyCollection<string> inputNames, IReadOnlyCollection<OrtValue> inputs,
        IReadOnlyCollection<string> outputNames, IReadOnlyCollection<OrtValue> outputs)
    {
        Enter();
        try
        {
            session.Run(options, inputNames, inputs, outputNames, outputs);
        }
        finally
        {
            Leave();
        }
    }

    public void Dispose()
    {
        lock (gate)
        {
            if (closing) return;
            closing = true;
            if (running > 0) return;
        }

        session.Dispose();
    }

    private void Enter()
    {
        lock (gate)
        {
            ObjectDisposedException.ThrowIf(closing, this);
            running++;
        }
    }

    private void Leave()
    {
        lock (gate)
        {
            running--;
            if (!closing || running > 0) return;
        }

        session.Dispose();
    }
}
