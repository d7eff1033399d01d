using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Runtime;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Models;

/// <summary>
/// A model file with its ONNX Runtime session: its tensors, its declarations, and whether requests can be stacked.
/// The model file defines the inputs and outputs.
/// </summary>
public class OnnxModel
{
    /// <summary>The names of inputs for a key/value cache begin with this.</summary>
    public const string CachePrefix = "past_";

    private readonly BatchLimits limits;
    private ShapeKeys shapes = new(allEqual: false);

    /// <summary>Creates the session and reads the tensors. Runs nothing.</summary>
    /// <param name="name">Name of the model.</param>
    /// <param name="version">Version of the model.</param>
    /// <param name="file">Location of the model.</param>
    /// <param name="providers">Execution providers that run the model.</param>
    /// <param name="limits">Limits of batches.</param>
    protected OnnxModel(
        string name,
        string version,
        ModelFile file,
        ExecutionProviders providers,
        BatchLimits limits)
    {
        Name = name;
        Version = version;
        Path = file.Path;
        Weights = file.Weights;
        this.limits = limits;
        Session = new ModelSession(file.Load, providers, file.Optimized, file.Threads);
        try
        {
            Inputs = [.. Session.Inputs.Select(Spec)];
            Outputs = [.. Session.Outputs.Select(Spec)];
            InputNames = [.. Inputs.Select(i => i.Name)];
            OutputNames = [.. Outputs.Select(o => o.Name)];
            Metadata = Session.Metadata;
            IsGenerator = Metadata.GetValueOrDefault("sluice.task") == "text-generation"
                || (InputNames.Any(n => n.StartsWith(CachePrefix, StringComparison.Ordinal))
                    && ModelFolder.DescribesTextModel(file.Path));
            Labels = ModelLabels.Read(file.Path);
            Config = ModelConfigFile.Read(file.Path, Inputs);
        }
        catch
        {
            Session.Dispose();
            throw;
        }
    }

    public string Name { get; }

    public string Version { get; }

    public string Path { get; }

    /// <summary>Bytes of the tensors stored in the model. They are in the memory of the device that runs it.</summary>
    public long Weights { get; }

    public IReadOnlyList<TensorSpec> Inputs { get; }

    public IReadOnlyList<TensorSpec> Outputs { get; }

    public string[] InputNames { get; }

    public string[] OutputNames { get; }

    /// <summary>Custom metadata of the model file, for example <c>sluice.task</c>.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Class names by index. Empty if the model has no labels file.</summary>
    public IReadOnlyList<string> Labels { get; }

    /// <summary>Declarations from the <c>config.pbtxt</c> file of the model.</summary>
    public ModelConfigFile Config { get; }

    /// <summary>States whether requests are stacked into batches, and the reason.</summary>
    public BatchRule Batching { get; private set; } = new(0, "it was not decided yet");

    public bool Batches => Batching.Max > 1;

    /// <summary>Largest number of rows in one run. 1 if requests are not stacked.</summary>
    public int MaxBatch => Math.Max(1, Batching.Max);

    /// <summary>
    /// True if the shapes of all inputs are fixed, except for the number of rows of a stacked model. Buffers of one
    /// batch then fit the next batch.
    /// </summary>
    public bool FixedRows { get; private set; }

    /// <summary>
    /// True if requests are read into buffers that are kept for reuse: requests are stacked, or all have the same
    /// shapes.
    /// </summary>
    public virtual bool Pooled => Batches;

    public ModelSession Session { get; }

    /// <summary>
    /// The provider that runs the model. If several providers run nodes, the text lists all shares, largest first.
    /// </summary>
    public string Provider =>
        Session.Placement is { Shares: [var only] } ? only.Provider : Session.Placement?.ToString() ?? "";

    /// <summary>
    /// Whether the model generates text: its metadata says so, or it has the files of a published text model and a
    /// key/value cache.
    /// </summary>
    public bool IsGenerator { get; }

    public TensorSpec? Input(string name) => InputIndex(name) is var at and >= 0 ? Inputs[at] : null;

    public TensorSpec? Output(string name) => OutputIndex(name) is var at and >= 0 ? Outputs[at] : null;

    public int InputIndex(string name) => Array.IndexOf(InputNames, name);

    public int OutputIndex(string name) => Array.IndexOf(OutputNames, name);

    /// <summary>Returns how many rows of this size a batch can have.</summary>
    public int RowsOf(long rowBytes) => limits.RowsOf(rowBytes);

    /// <summary>Returns a number that is equal for requests whose tensors can be stacked.</summary>
    /// <param name="inputShapes">The shapes of the inputs of a request, in the model's order.</param>
    public int ShapeKey(IEnumerable<long[]> inputShapes) => Batches ? shapes.GetKey(inputShapes) : 0;

    /// <summary>Returns a tensor's shape without the row dimension, if the model has one.</summary>
    public long[] RowShape(TensorSpec spec) => RowShape(spec.Shape);

    /// <summary>Returns a shape without the row dimension, if the model has one.</summary>
    protected internal long[] RowShape(long[] shape) => Batches ? shape[1..] : shape;

    /// <summary>Runs the model once without a binding.</summary>
    internal IDisposableReadOnlyCollection<OrtValue> RunOnce(IReadOnlyList<OrtValue> values)
    {
        using var options = new RunOptions();
        return Session.Run(options, InputNames, [.. values], OutputNames);
    }

    /// <summary>Decides whether requests are stacked. The model must have been run before.</summary>
    protected void DecideBatching()
    {
        Batching = FindBatching();
        FixedRows = Varies(Inputs) is null;
        shapes = new ShapeKeys(FixedRows);
    }

    /// <summary>Runs the model once on zeros, with every free dimension set to 1.</summary>
    protected void RunZeros()
    {
        var values = new List<OrtValue>();
        try
        {
            foreach (var input in Inputs)
                values.Add(TensorValues.Allocate(input.Type, [.. input.Shape.Select(d => d < 0 ? 1 : d)], zero: true));
            RunOnce(values).Dispose();
        }
        finally
        {
            foreach (var value in values) value.Dispose();
        }
    }

    /// <summary>Returns why no buffers can be allocated before a request arrives, or null if they can.</summary>
    protected string? Varies(IReadOnlyList<TensorSpec> specs)
    {
        if (specs.FirstOrDefault(s => s.Type.IsBytes) is { } text) return $"'{text.Name}' is BYTES";
        // A dimension of 0 leaves no buffer to bind.
        if (specs.FirstOrDefault(s => RowShape(s).Any(d => d <= 0)) is { } free)
            return $"the shape of '{free.Name}' is {free.ShapeText}";
        var bytes = specs.Sum(s => RowShape(s).Aggregate((long)s.Type.Size, (a, d) => a * d));
        return bytes <= limits.MaxBytes ? null : $"they have {bytes} bytes, more than {limits.MaxBytes}";
    }

    private BatchRule FindBatching()
    {
        if (IsGenerator) return new BatchRule(0, "it generates text");
        var rowBytes = Inputs.Concat(Outputs).Where(t => t.Shape.Skip(1).All(d => d >= 0))
            .Sum(t => t.Shape.Skip(1).Aggregate((long)t.Type.Size, (a, d) => a * d));
        var rows = limits.RowsOf(rowBytes);
        if (rows < Math.Min(2, limits.MaxRows))
            return new BatchRule(0, $"a row has {rowBytes} bytes, and a batch can have at most {limits.MaxBytes}");
        var symbols = Session.Inputs.Select(n => n.Value.SymbolicDimensions.FirstOrDefault() ?? "");
        var rule = BatchRule.Find(Inputs, Outputs, [.. symbols], rows, values => RunOnce(values));
        return rule.Max == 0 || rows == limits.MaxRows ? rule
            : rule with
            {
                Why = $"{rule.Why}; {rows} rows of {rowBytes} bytes, because a batch can have at most "
                    + $"{limits.MaxBytes}",
            };
    }

    private static TensorSpec Spec(KeyValuePair<string, NodeMetadata> node)
    {
        if (!node.Value.IsTensor && !node.Value.IsString)
            throw new NotSupportedException($"'{node.Key}' is {node.Value.OnnxValueType}; expected a tensor");
        var type = DataType.FromElementType(node.Value.ElementDataType) ?? throw new NotSupportedException(
            $"'{node.Key}' has element type {node.Value.ElementDataType}, which the protocol does not support");
        return new TensorSpec(node.Key, type, [.. node.Value.Dimensions.Select(d => (long)d)]);
    }
}
