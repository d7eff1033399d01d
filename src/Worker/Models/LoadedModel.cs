using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Batching;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Models;

/// <summary>One version of a model with its session. What it takes and gives is read from the model itself.</summary>
public sealed class LoadedModel : IDisposable
{
    private readonly ModelSession session;
    private readonly ShapeKeys shapes;
    private readonly BatchLimits limits;

    /// <param name="name">Its name.</param>
    /// <param name="version">Its version.</param>
    /// <param name="file">Where it stands.</param>
    /// <param name="providers">What is to run it.</param>
    /// <param name="lanes">Where it runs.</param>
    /// <param name="limits">Rows of a batch and requests that may wait.</param>
    public LoadedModel(string name, string version, ModelFile file, ExecutionProviders providers, RunLanes lanes, BatchLimits limits)
    {
        (Name, Version, Path, this.limits) = (name, version, file.Path, limits);
        session = new ModelSession(file.Load, providers, file.Optimised);
        Inputs = [.. session.Inputs.Select(Spec)];
        Outputs = [.. session.Outputs.Select(Spec)];
        InputNames = [.. Inputs.Select(i => i.Name)];
        OutputNames = [.. Outputs.Select(o => o.Name)];
        Metadata = session.Metadata;
        Labels = ModelLabels.Read(file.Path);
        FixedRows = Inputs.All(i => i.Shape.Skip(1).All(d => d >= 0));
        shapes = new ShapeKeys(FixedRows);
        if (!IsGenerator) FirstRun();
        session.Prove();
        Batching = FindBatching();
        Statistics = new ModelStatistics(TimeProvider.System);
        Scheduler = new BatchScheduler(this, lanes, limits.MaxQueue);
    }

    public string Name { get; }

    public string Version { get; }

    public string Path { get; }

    public IReadOnlyList<TensorSpec> Inputs { get; }

    public IReadOnlyList<TensorSpec> Outputs { get; }

    public string[] InputNames { get; }

    public string[] OutputNames { get; }

    /// <summary>The model's own properties, <c>sluice.task</c> among them.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Names of classes, by index; empty: it has none.</summary>
    public IReadOnlyList<string> Labels { get; }

    /// <summary>Whether requests are stacked, and why not.</summary>
    public BatchRule Batching { get; }

    public bool Batches => Batching.Max > 1;

    /// <summary>Rows of one run; 1 where requests are not stacked.</summary>
    public int MaxBatch => Math.Max(1, Batching.Max);

    /// <summary>All dimensions but the first are fixed: buffers of one batch fit the next.</summary>
    public bool FixedRows { get; }

    public ModelStatistics Statistics { get; }

    public ModelSession Session => session;

    /// <summary>What runs it: the provider with most of its nodes, and the others with theirs where there are some.</summary>
    public string Provider => session.Placement is { Shares: [var only] } ? only.Provider : session.Placement?.ToString() ?? "";

    internal BatchScheduler Scheduler { get; }

    /// <summary>What makes text of it, where it is a decoder.</summary>
    public Generation.TextGenerator? Generator { get; set; }

    public bool IsGenerator => Metadata.GetValueOrDefault("sluice.task") == "text-generation";

    public TensorSpec? Input(string name) => Inputs.FirstOrDefault(i => i.Name == name);

    public TensorSpec? Output(string name) => Outputs.FirstOrDefault(o => o.Name == name);

    public int InputIndex(string name) => Array.IndexOf(InputNames, name);

    public int OutputIndex(string name) => Array.IndexOf(OutputNames, name);

    /// <summary>How many rows of this size a batch may have.</summary>
    public int RowsOf(long rowBytes) => limits.RowsOf(rowBytes);

    /// <summary>A number that is equal for requests whose tensors can be stacked.</summary>
    public int ShapeKey(Api.InferRequest request) => Batches ? shapes.Of(request) : 0;

    /// <summary>Runs batches of 2, 4, 8 rows and so on, so that no request pays for the first run of a size. A decoder is warmed by its
    /// generator.</summary>
    public void WarmUp()
    {
        try
        {
            for (var rows = 2; Batches && rows <= MaxBatch; rows = rows == MaxBatch ? rows + 1 : Math.Min(rows * 2, MaxBatch)) RunZeros(rows);
        }
        catch (OnnxRuntimeException)
        {
            // Some models take no zeros (an index that must be in range). They are warmed by their first request.
        }
    }

    /// <summary>Keeps it from being freed until the returned is disposed of; throws 404 when it is unloaded already.</summary>
    public IDisposable Hold() => Scheduler.Hold();

    /// <summary>Takes no more requests; the session ends when the last of them is answered.</summary>
    public void Dispose() => Scheduler.Dispose();

    /// <summary>Tensors for a batch that begins with this request.</summary>
    internal TensorSet NewTensors(Api.InferRequest first) => first.Alone ? new SingleTensors(this, first)
        : new StackedTensors(this, first.Inputs.Select(i => i!.Shape[1..]), MaxBatch);

    /// <summary>Ends the session; nobody may use it any more.</summary>
    internal void Free()
    {
        Generator?.Dispose();
        session.Dispose();
    }

    private BatchRule FindBatching()
    {
        if (IsGenerator) return new BatchRule(0, "it generates text");
        var rowBytes = Inputs.Concat(Outputs).Where(t => t.Shape.Skip(1).All(d => d >= 0))
            .Sum(t => t.Shape.Skip(1).Aggregate((long)t.Type.Size, (a, d) => a * d));
        var rows = limits.RowsOf(rowBytes);
        if (rows < Math.Min(2, limits.MaxRows))
            return new BatchRule(0, $"a row has {rowBytes} bytes, and a batch {limits.MaxBytes} at most");
        var rule = BatchRule.Find(Inputs, Outputs, [.. session.Inputs.Select(n => n.Value.SymbolicDimensions.FirstOrDefault() ?? "")], rows,
            values => RunOnce(values));
        return rule.Max > 0 && rows < limits.MaxRows ? rule with { Why = $"{rule.Why}; {rows} rows of {rowBytes} bytes, so that a batch has {limits.MaxBytes} at most" } : rule;
    }

    /// <summary>One run on zeros, every free dimension 1: it proves the provider, and the first request pays nothing for it.</summary>
    private void FirstRun()
    {
        try
        {
            RunZeros(1);
        }
        catch (OnnxRuntimeException e)
        {
            // Of the device: once more, on what is left. Of the values: its first request is its first run.
            if (session.Recover(e)) FirstRun();
        }
    }

    private void RunZeros(int rows)
    {
        var values = new List<OrtValue>();
        try
        {
            foreach (var input in Inputs)
                values.Add(TensorValues.Allocate(input.Type, [.. input.Shape.Select((d, i) => d >= 0 ? d : i == 0 ? rows : 1)], zero: true));
            RunOnce(values).Dispose();
        }
        finally
        {
            foreach (var value in values) value.Dispose();
        }
    }

    private IDisposableReadOnlyCollection<OrtValue> RunOnce(IReadOnlyList<OrtValue> values)
    {
        using var options = new RunOptions();
        return session.Run(options, InputNames, [.. values], OutputNames);
    }

    private static TensorSpec Spec(KeyValuePair<string, NodeMetadata> node)
    {
        if (!node.Value.IsTensor && !node.Value.IsString)
            throw new NotSupportedException($"'{node.Key}' is no tensor ({node.Value.OnnxValueType})");
        var type = DataType.Of(node.Value.ElementDataType) ?? throw new NotSupportedException(
            $"'{node.Key}' has element type {node.Value.ElementDataType}, which the protocol cannot carry");
        return new TensorSpec(node.Key, type, [.. node.Value.Dimensions.Select(d => (long)d)]);
    }
}
