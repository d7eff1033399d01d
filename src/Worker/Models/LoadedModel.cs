using System.Diagnostics;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Batching;
using Sluice.Worker.Generation;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Models;

/// <summary>
/// One loaded version of a model with its ONNX Runtime session. The model file defines the inputs and outputs.
/// </summary>
public sealed class LoadedModel : IDisposable
{
    /// <summary>Rows of the batch whose run time is compared with that of one row.</summary>
    private const int GainRows = 8;

    /// <summary>
    /// Number of runs in a measurement. The shortest counts, so that an interrupted run does not decide.
    /// </summary>
    private const int GainRuns = 3;

    private readonly ModelSession session;
    private readonly ShapeKeys shapes;
    private readonly BatchLimits limits;
    private SessionMemory? memory;

    /// <summary>Loads the model, runs it once, and decides about batching and bindings.</summary>
    /// <param name="name">Name of the model.</param>
    /// <param name="version">Version of the model.</param>
    /// <param name="file">Location of the model.</param>
    /// <param name="providers">Execution providers that run the model.</param>
    /// <param name="lanes">Lanes that limit concurrent runs.</param>
    /// <param name="limits">Limits of batches and of the request queue.</param>
    public LoadedModel(
        string name,
        string version,
        ModelFile file,
        ExecutionProviders providers,
        RunLanes lanes,
        BatchLimits limits)
    {
        Name = name;
        Version = version;
        Path = file.Path;
        Weights = file.Weights;
        this.limits = limits;
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

    /// <summary>Bytes of the tensors stored in the model. They are in the memory of the device that runs it.</summary>
    public long Weights { get; }

    /// <summary>Bytes of host buffers for batches: buffers in use and buffers kept for reuse.</summary>
    public long BufferBytes => Scheduler.BufferBytes;

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
    public BatchRule Batching { get; }

    public bool Batches => Batching.Max > 1;

    /// <summary>Largest number of rows in one run. 1 if requests are not stacked.</summary>
    public int MaxBatch => Math.Max(1, Batching.Max);

    /// <summary>
    /// True if the shapes of all inputs are fixed, except for the number of rows of a stacked model. Buffers of one
    /// batch then fit the next batch.
    /// </summary>
    public bool FixedRows { get; }

    /// <summary>
    /// True if requests are read into buffers that are kept for reuse: requests are stacked, or all have the same
    /// shapes.
    /// </summary>
    public bool Pooled => Batches || (FixedRows && Binding.Plan.How != TensorBinding.None);

    /// <summary>Speedup of a batched run, measured at warm-up.</summary>
    public BatchGain Gain { get; private set; }

    public ModelStatistics Statistics { get; }

    public ModelSession Session => session;

    /// <summary>
    /// The provider that runs the model. If several providers run nodes, the text lists all shares, largest first.
    /// </summary>
    public string Provider =>
        session.Placement is { Shares: [var only] } ? only.Provider : session.Placement?.ToString() ?? "";

    internal BatchScheduler Scheduler { get; }

    /// <summary>How runs access the model's tensors.</summary>
    internal ModelBinding Binding { get; }

    /// <summary>Generates text. Null if the model is not a text generation model.</summary>
    public TextGenerator? Generator { get; private set; }

    public bool IsGenerator => Metadata.GetValueOrDefault("sluice.task") == "text-generation";

    public TensorSpec? Input(string name) => InputIndex(name) is var at and >= 0 ? Inputs[at] : null;

    public TensorSpec? Output(string name) => OutputIndex(name) is var at and >= 0 ? Outputs[at] : null;

    public int InputIndex(string name) => Array.IndexOf(InputNames, name);

    public int OutputIndex(string name) => Array.IndexOf(OutputNames, name);

    /// <summary>Returns how many rows of this size a batch can have.</summary>
    public int RowsOf(long rowBytes) => limits.RowsOf(rowBytes);

    /// <summary>Returns a number that is equal for requests whose tensors can be stacked.</summary>
    public int ShapeKey(Api.InferRequest request) => Batches ? shapes.GetKey(request) : 0;

    /// <summary>
    /// Runs batches of 1, 2, 4 and more rows, so that no request waits for the first run of a batch size. These runs
    /// also capture CUDA graphs. The first run of a text generation model already warms it up.
    /// </summary>
    public void WarmUp()
    {
        if (!Pooled) return;
        var tensors = new StackedTensors(
            this,
            Binding,
            Inputs.Select(i => RowShape(i).Select(d => d < 0 ? 1 : d).ToArray()),
            MaxBatch);
        try
        {
            // The second run captures a CUDA graph. The third run replays it.
            var runs = Binding.Plan.Graph ? 3 : 1;
            foreach (var rows in BindingPlan.Buckets(MaxBatch)) MeasureShortest(tensors, rows, runs);
            if (!Batches) return;
            var many = Math.Min(MaxBatch, GainRows);
            Gain = new BatchGain(MeasureShortest(tensors, 1, GainRuns), MeasureShortest(tensors, many, GainRuns), many);
            Scheduler.Gathers = Gain.Pays;
        }
        catch (OnnxRuntimeException)
        {
            // Some models reject generated numbers. Their first request warms them up.
        }
        finally
        {
            Scheduler.Adopt(tensors);
        }
    }

    /// <summary>Returns a tensor's shape without the row dimension, if the model has one.</summary>
    public long[] RowShape(TensorSpec spec) => RowShape(spec.Shape);

    /// <summary>Returns the time of the shortest of several runs.</summary>
    private TimeSpan MeasureShortest(StackedTensors tensors, int rows, int runs)
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

    /// <summary>
    /// Keeps the model loaded until the caller disposes the returned object. Throws an error with status 404 if the
    /// model is already unloaded.
    /// </summary>
    public IDisposable Hold() => Scheduler.Hold();

    /// <summary>Rejects new requests. The session is closed after the last running request.</summary>
    public void Dispose() => Scheduler.Dispose();

    /// <summary>Creates the tensors of a batch that starts with this request.</summary>
    internal TensorSet NewTensors(Api.InferRequest first) => first.Alone ? new SingleTensors(this, first)
        : new StackedTensors(this, Binding, first.Inputs.Select(i => RowShape(i!.Shape)), MaxBatch);

    /// <summary>Closes the session. The caller must make sure that no run uses it.</summary>
    internal void Free()
    {
        Generator?.Dispose();
        Binding?.Dispose();
        memory?.Dispose();
        session.Dispose();
    }

    /// <summary>Runs the model once without a binding.</summary>
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
            return new BatchRule(0, $"a row has {rowBytes} bytes, and a batch can have at most {limits.MaxBytes}");
        var symbols = session.Inputs.Select(n => n.Value.SymbolicDimensions.FirstOrDefault() ?? "");
        var rule = BatchRule.Find(Inputs, Outputs, [.. symbols], rows, values => RunOnce(values));
        return rule.Max == 0 || rows == limits.MaxRows ? rule
            : rule with
            {
                Why = $"{rule.Why}; {rows} rows of {rowBytes} bytes, because a batch can have at most "
                    + $"{limits.MaxBytes}",
            };
    }

    private ModelBinding Bind(ExecutionProviders providers)
    {
        var facts = new BindingFacts
        {
            Provider = session.Provider,
            CpuNodes = session.Placement!.On("cpu"),
            GraphOption = session.GraphOption,
            InputsVary = Varies(Inputs), OutputsVary = Varies(Outputs),
        };
        var candidates = IsGenerator
            ? [new BindingPlan(TensorBinding.None, Why: "it generates text")]
            : BindingPlan.Candidates(facts);
        try
        {
            return candidates.Count == 0 ? throw new NotSupportedException(BindingPlan.NoGraph(facts))
                : BindingChoice.SelectFirstWorking(this, candidates, memory!, () => providers.Copy(session.Provider));
        }
        catch (NotSupportedException e)
        {
            throw new NotSupportedException(
                $"{session.GraphOption}=1 is not possible for model {Name}: {e.Message}; remove the option", e);
        }
    }

    /// <summary>Returns why no buffers can be allocated before a request arrives, or null if they can.</summary>
    private string? Varies(IReadOnlyList<TensorSpec> specs)
    {
        if (specs.FirstOrDefault(s => s.Type.IsBytes) is { } text) return $"'{text.Name}' is BYTES";
        // A dimension of 0 leaves no buffer to bind.
        if (specs.FirstOrDefault(s => RowShape(s).Any(d => d <= 0)) is { } free)
            return $"the shape of '{free.Name}' is {free.ShapeText}";
        var bytes = specs.Sum(s => RowShape(s).Aggregate((long)s.Type.Size, (a, d) => a * d));
        return bytes <= limits.MaxBytes ? null : $"they have {bytes} bytes, more than {limits.MaxBytes}";
    }

    private long[] RowShape(long[] shape) => Batches ? shape[1..] : shape;

    /// <summary>
    /// Runs the model once on zeros, with every free dimension set to 1. The run proves that the provider works, and
    /// takes its cost away from the first request. A text generation model generates a few tokens.
    /// </summary>
    private void FirstRun(RunLanes lanes)
    {
        memory = SessionMemory.Create(session, session.Provider, session.Device);
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
            // After a device error, the model runs again on the remaining providers. After an error about the values,
            // the first request is the first run.
            if (!session.Recover(e))
            {
                if (IsGenerator) throw;
                return;
            }
        }

        // Objects that were allocated from the memory of the old session were released with it.
        Generator = null;
        FirstRun(lanes);
    }

    private void RunZeros()
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

    private void FillMadeUp(StackedTensors tensors, int rows)
    {
        var made = Inputs.Select(i => MadeUpRows.Create(i, 0, rows, Batches)).ToList();
        tensors.Fill(made, rows);
        foreach (var value in made) value.Dispose();
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
