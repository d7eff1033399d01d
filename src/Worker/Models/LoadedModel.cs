using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Models;

/// <summary>One version of a model with its session. What it takes and gives is read from the model itself.</summary>
public sealed class LoadedModel : IDisposable
{
    private readonly ModelSession session;

    public LoadedModel(string name, string version, string path, ExecutionProviders providers)
    {
        (Name, Version) = (name, version);
        session = new ModelSession(path, providers);
        Inputs = [.. session.Inputs.Select(Spec)];
        Outputs = [.. session.Outputs.Select(Spec)];
        Metadata = session.Metadata;
    }

    public string Name { get; }

    public string Version { get; }

    public IReadOnlyList<TensorSpec> Inputs { get; }

    public IReadOnlyList<TensorSpec> Outputs { get; }

    /// <summary>The model's own properties, <c>sluice.task</c> among them.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    public ModelSession Session => session;

    public bool IsGenerator => Metadata.GetValueOrDefault("sluice.task") == "text-generation";

    public TensorSpec? Input(string name) => Inputs.FirstOrDefault(i => i.Name == name);

    public TensorSpec? Output(string name) => Outputs.FirstOrDefault(o => o.Name == name);

    /// <summary>Runs the model once on zeros, every free dimension 1: that proves its provider, and the first request pays
    /// nothing for it. A decoder is warmed by its generator.</summary>
    public void WarmUp()
    {
        if (IsGenerator) return;
        var values = new List<OrtValue>();
        try
        {
            foreach (var input in Inputs)
                values.Add(TensorValues.Allocate(input.Type, [.. input.Shape.Select(d => d < 0 ? 1 : d)], zero: true));
            using var options = new RunOptions();
            using var results = session.Run(options, [.. Inputs.Select(i => i.Name)], values,
                [.. Outputs.Select(o => o.Name)]);
        }
        catch (OnnxRuntimeException e)
        {
            // Some models take no zeros (an index that must be in range). They are warmed by their first request.
            if (session.Recover(e)) WarmUp();
        }
        finally
        {
            foreach (var value in values) value.Dispose();
        }
    }

    public void Dispose() => session.Dispose();

    private static TensorSpec Spec(KeyValuePair<string, NodeMetadata> node)
    {
        if (!node.Value.IsTensor && !node.Value.IsString)
            throw new NotSupportedException($"'{node.Key}' is no tensor ({node.Value.OnnxValueType})");
        var type = DataType.Of(node.Value.ElementDataType) ?? throw new NotSupportedException(
            $"'{node.Key}' has element type {node.Value.ElementDataType}, which the protocol cannot carry");
        return new TensorSpec(node.Key, type, [.. node.Value.Dimensions.Select(d => (long)d)]);
    }
}
