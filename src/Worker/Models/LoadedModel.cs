using System.Diagnostics;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Batching;
using Sluice.Worker.Generation;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Models;

/// <summary>One version of a model with its session. What it takes and gives is read from the model itself.</summary>
public sealed class LoadedModel : IDisposable
{
    /// <summary>The batch whose run is compared with that of one row.</summary>
    private const int GainRows = 8;

    /// <summary>Runs of which the shortest counts: one that is interrupted must not decide.</summary>
    private const int GainRuns = 3;

    private readonly ModelSession session;
    private readonly ShapeKeys shapes;
    private readonly BatchLimits limits;
    private SessionMemory? memory;

    /// <param name="name">Its name.</param>
    /// <param name="version">Its version.</param>
    /// <param name="file">Where it stands.</param>
    /// <param name="providers">What is to run it.</param>
    /// <param name="lanes">Where it runs.</param>
    /// <param name="limits">Rows of a batch and requests that may wait.</param>
    public LoadedModel(string name, string version, ModelFile file, ExecutionProviders providers, RunLanes lanes, BatchLimits limits)
    {
        (Name, Version, Path, Weights, this.limits) = (name, version, file.Path, file.Weights, limits);
        session = new ModelSession(file.Load, providers, file.Optimised);
        try
        {
            Inputs = [.. session.Inputs.Select(Spec)];
            Outputs = [.. session.Outputs.Select(Spec)];
            InputNames = [.. Inputs.Select(i => i.Name)];
            OutputNames = [.. Outputs.Select(o => o.Name)];
            Metadata = session.Metadata;
            Labels = ModelLabels.Read(file.Path);
            Config = ModelConfigFile.Read(file.Path, Inputs);
            FirstRun(lanes);
            session.Prove();
            Batching = FindBatching();
            FixedRows = Varies(Inputs) is null;
            shapes = new ShapeKeys(FixedRows);
            Binding = Bind(providers);
            Statistics = new ModelStatistics(TimeProvider.System);
            Scheduler = new BatchScheduler(this, lanes, limits.MaxQueue);
        }
        catch
        {
            Free();
            throw;
        }
    }

    public string Name { get; }

    public string Version { get; }

    public string Path { get; }

    /// <summary>Bytes of the tensors stored in it; they are in the memory of what runs it.</summary>
    public long Weights { get; }

    /// <summary>Bytes of the host's buffers for its batches, those in use and those kept.</summary>
    public long BufferBytes => Scheduler.BufferBytes;

    public IReadOnlyList<TensorSpec> Inputs { get; }

    public IReadOnlyList<TensorSpec> Outputs { get; }

    public string[] InputNames { get; }

    public string[] OutputNames { get; }

    /// <summary>The model's own properties, <c>sluice.task</c> among them.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Names of classes, by index; empty: it has none.</summary>
    public IReadOnlyList<string> Labels { get; }

    /// <summary>What is declared beside it.</summary>
    public ModelConfigFile Config { get; }

    /// <summary>Whether requests are stacked, and why not.</summary>
    public BatchRule Batching { get; }

    public bool Batches => Batching.Max > 1;

    /// <summary>Rows of one run; 1 where requests are not stacked.</summary>
    public int MaxBatch => Math.Max(1, Batching.Max);

    /// <summary>The inputs' shapes are fixed, but for the rows where they are stacked: buffers of one batch fit the next.</summary>
    public bool FixedRows { get; }

    /// <summary>Its requests are read into buffers that are kept: they are stacked, or they all have the same shapes.</summary>
    public bool Pooled => Batches || (FixedRows && Binding.Plan.How != TensorBinding.None);

    /// <summary>What its rows gain by running together, as seen at warm-up.</summary>
    public BatchGain Gain { get; private set; }

    public ModelStatistics Statistics { get; }

    public ModelSession Session => session;

    /// <summary>What runs it: the provider with most of its nodes, and the others with theirs where there are some.</summary>
    public string Provider => session.Placement is { Shares: [var only] } ? only.Provider : session.Placement?.ToString() ?? "";

    internal BatchScheduler Scheduler { get; }

    /// <summary>How runs reach its tensors.</summary>
    internal ModelBinding Binding { get; }

    /// <summary>What makes text of it, where it is a decoder.</summary>
    public TextGenerator? Generator { get; private set; }

    public bool IsGenerator => Metadata.GetValueOrDefault("sluice.task") == "text-generation";

    public TensorSpec? Input(string name) => InputIndex(name) is var at and >= 0 ? Inputs[at] : null;

    public TensorSpec? Output(string name) => OutputIndex(name) is var at and >= 0 ? Outputs[at] : null;

    public int InputIndex(string name) => Array.IndexOf(InputNames, name);

    public int OutputIndex(string name) => Array.IndexOf(OutputNames, name);

    /// <summary>How many rows of this size a batch may have.</summary>
    public int RowsOf(long rowBytes) => limits.RowsOf(rowBytes);

    /// <summary>A number that is equal for requests whose tensors can be stacked.</summary>
    public int ShapeKey(Api.InferRequest request) => Batches ? shapes.Of(request) : 0;

    /// <summary>Runs batches of 1, 2, 4 rows and so on, so that no request pays for the first run of a size; CUDA graphs are captured here. A decoder is warm
    /// by its first run.</summary>
    public void WarmUp()
    {
        if (!Pooled) return;
        var tensors = new StackedTensors(this, Binding, Inputs.Select(i => RowShape(i).Select(d => d < 0 ? 1 : d).ToArray()), MaxBatch);
        try
        {
            // A CUDA graph is captured by the second run, and replayed by the third.
            foreach (var rows in BindingPlan.Buckets(MaxBatch)) Shortest(tensors, rows, Binding.Plan.Graph ? 3 : 1);
            if (!Batches) return;
            var many = Math.Min(MaxBatch, GainRows);
            Gain = new BatchGain(Shortest(tensors, 1, GainRuns), Shortest(tensors, many, GainRuns), many);
            Scheduler.Gathers = Gain.Pays;
        }
        catch (OnnxRuntimeException)
        {
            // Some models do not take made-up numbers. They are warmed by their first request.
        }
        finally
        {
            Scheduler.Adopt(tensors);
        }
    }

    /// <summary>A tensor's shape without the dimension of rows, where it has one.</summary>
    public long[] RowShape(TensorSpec spec) => RowShape(spec.Shape);

    /// <summary>The shortest of some runs.</summary>
    private TimeSpan Shortest(StackedTensors tensors, int rows, int runs)
    {
        FillMadeUp(tensors, rows);
        var shortest = TimeSpan.MaxValue;
        for (; runs > 0; runs--)
        {
            using var options = new RunOptions();
            var began = Stopwatch.GetTimestamp();
            tensors.Run(options, rows);
            if (Stopwatch.GetElapsedTime(began) is var took && took < shortest) shortest = took;
        }

        return shortest;
    }

    /// <summary>Keeps it from being freed until the returned is disposed of; throws 404 when it is unloaded already.</summary>
    public IDisposable Hold() => Scheduler.Hold();

    /// <summary>Takes no more requests; the session ends when the last of them is answered.</summary>
    public void Dispose() => Scheduler.Dispose();

    /// <summary>Tensors for a batch that begins with this request.</summary>
    internal TensorSet NewTensors(Api.InferRequest first) => first.Alone ? new SingleTensors(this, first)
        : new StackedTensors(this, Binding, first.Inputs.Select(i => RowShape(i!.Shape)), MaxBatch);

    /// <summary>Ends the session; nobody may use it any more.</summary>
    internal void Free()
    {
        Generator?.Dispose();
        Binding?.Dispose();
        memory?.Dispose();
        session.Dispose();
    }

    /// <summary>One run that is not bound.</summary>
    internal IDisposableReadOnlyCollection<OrtValue> RunOnce(IReadOnlyList<OrtValue> values)
    {
        using var options = new RunOptions();
        return session.Run(options, InputNames, [.. values], OutputNames);
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
        return rule.Max == 0 || rows == limits.MaxRows ? rule
            : rule with { Why = $"{rule.Why}; {rows} rows of {rowBytes} bytes, so that a batch has {limits.MaxBytes} at most" };
    }

    private ModelBinding Bind(ExecutionProviders providers)
    {
        var facts = new BindingFacts
        {
            Provider = session.Provider, CpuNodes = session.Placement!.On("cpu"), GraphOption = session.GraphOption,
            InputsVary = Varies(Inputs), OutputsVary = Varies(Outputs),
        };
        var candidates = IsGenerator ? [new BindingPlan(TensorBinding.None, Why: "it generates text")] : BindingPlan.Candidates(facts);
        try
        {
            return candidates.Count == 0 ? throw new NotSupportedException(BindingPlan.NoGraph(facts))
                : BindingChoice.SelectFirstWorking(this, candidates, memory!, () => providers.Copy(session.Provider));
        }
        catch (NotSupportedException e)
        {
            throw new NotSupportedException($"{session.GraphOption}=1 cannot be had for model {Name}: {e.Message}; leave it out", e);
        }
    }

    /// <summary>Why buffers of this size and shape cannot be made before a request comes, or null.</summary>
    private string? Varies(IReadOnlyList<TensorSpec> specs)
    {
        if (specs.FirstOrDefault(s => s.Type.IsBytes) is { } text) return $"'{text.Name}' is BYTES";
        // A dimension of nothing leaves no buffer to bind.
        if (specs.FirstOrDefault(s => RowShape(s).Any(d => d <= 0)) is { } free) return $"the shape of '{free.Name}' is {free.ShapeText}";
        return specs.Sum(s => RowShape(s).Aggregate((long)s.Type.Size, (a, d) => a * d)) is var bytes && bytes <= limits.MaxBytes ? null
            : $"they have {bytes} bytes, more than {limits.MaxBytes}";
    }

    private long[] RowShape(long[] shape) => Batches ? shape[1..] : shape;

    /// <summary>One run on zeros, every free dimension 1: it proves the provider, and the first request pays nothing for it. A decoder makes a few tokens.</summary>
    private void FirstRun(RunLanes lanes)
    {
        memory = SessionMemory.Of(session, session.Provider, session.Device);
        try
        {
            if (!IsGenerator)
            {
                RunZeros();
                return;
            }

            Generator = new TextGenerator(this, lanes, memory);
            if (Generator.FindCacheError() is not { } wrong) return;
            if (session.Provider == "cpu") throw new NotSupportedException(wrong);
            session.Abandon(new InvalidOperationException(wrong));
        }
        catch (OnnxRuntimeException e)
        {
            // Of the device: once more, on what is left. Of the values: its first request is its first run.
            if (!session.Recover(e))
            {
                if (IsGenerator) throw;
                return;
            }
        }

        // What was allocated from the old session's memory went with it.
        Generator = null;
        FirstRun(lanes);
    }

    private void RunZeros()
    {
        var values = new List<OrtValue>();
        try
        {
            foreach (var input in Inputs) values.Add(TensorValues.Allocate(input.Type, [.. input.Shape.Select(d => d < 0 ? 1 : d)], zero: true));
            RunOnce(values).Dispose();
        }
        finally
        {
            foreach (var value in values) value.Dispose();
        }
    }

    private void FillMadeUp(StackedTensors tensors, int rows)
    {
        var made = Inputs.Select(i => MadeUpRows.Of(i, 0, rows, Batches)).ToList();
        tensors.Fill(made, rows);
        foreach (var value in made) value.Dispose();
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
