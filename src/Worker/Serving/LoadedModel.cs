using System.Diagnostics;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Batching;
using Sluice.Worker.Embeddings;
using Sluice.Worker.Generation;
using Sluice.Worker.Models;
using Sluice.Worker.Requests;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Serving;

/// <summary>
/// One version of a model that is served: the model, its binding, its scheduler and its statistics.
/// </summary>
public sealed class LoadedModel : OnnxModel, IDisposable
{
    /// <summary>Rows of the batch whose run time is compared with that of one row.</summary>
    private const int GainRows = 8;

    /// <summary>
    /// Number of runs in a measurement. The shortest counts, so that an interrupted run does not decide.
    /// </summary>
    private const int GainRuns = 3;

    private readonly GenerationLimits generation;
    private readonly Lazy<TextEmbedder>? embedder;
    private SessionMemory? memory;

    /// <summary>Loads the model, runs it once, and decides about batching and bindings.</summary>
    /// <param name="name">Name of the model.</param>
    /// <param name="version">Version of the model.</param>
    /// <param name="file">Location of the model.</param>
    /// <param name="providers">Execution providers that run the model.</param>
    /// <param name="slots">Execution slots that limit concurrent runs.</param>
    /// <param name="limits">Limits of batches and of the request queue.</param>
    /// <param name="generation">Limits of text generation. Null: the defaults.</param>
    public LoadedModel(
        string name,
        string version,
        ModelFile file,
        ExecutionProviders providers,
        ExecutionSlots slots,
        BatchLimits limits,
        GenerationLimits? generation = null)
        : base(name, version, file, providers, limits)
    {
        this.generation = (generation ?? new GenerationLimits()) with { MaxQueue = limits.MaxQueue };
        try
        {
            FirstRun(slots);
            Session.Prove();
            DecideBatching();
            Binding = Bind(providers);
            Statistics = new ModelStatistics(TimeProvider.System);
            if (TextEmbedder.IsEmbedder(this)) embedder = new Lazy<TextEmbedder>(() => new TextEmbedder(this, slots));
            Scheduler = new BatchScheduler(this, slots, limits.MaxQueue, Statistics, NewTensors, Free);
        }
        catch
        {
            Free();
            throw;
        }
    }

    /// <summary>Bytes of host buffers for batches: buffers in use and buffers kept for reuse.</summary>
    public long BufferBytes => Scheduler.BufferBytes;

    /// <summary>
    /// True if requests are read into buffers that are kept for reuse: requests are stacked, or all have the same
    /// shapes.
    /// </summary>
    public override bool Pooled => Batches || (FixedRows && Binding.Plan.How != TensorBinding.None);

    /// <summary>Speedup of a batched run, measured at warm-up.</summary>
    public BatchSpeedup Gain { get; private set; }

    public ModelStatistics Statistics { get; }

    internal BatchScheduler Scheduler { get; }

    /// <summary>How runs access the model's tensors.</summary>
    internal ModelBinding Binding { get; }

    /// <summary>Generates text. Null if the model is not a text generation model.</summary>
    public TextGenerator? Generator { get; private set; }

    /// <summary>
    /// Converts texts to vectors; null if the model is not an encoder with a tokenizer. The tokenizer is loaded at the
    /// first use, so that a wrong one does not prevent inferences.
    /// </summary>
    /// <exception cref="NotSupportedException">The tokenizer or the pooling is not supported.</exception>
    /// <exception cref="InvalidDataException">A file of the model is not valid.</exception>
    public TextEmbedder? Embedder => embedder?.Value;

    /// <summary>The value of <see cref="Embedder"/> if a request used it; else null.</summary>
    public TextEmbedder? LoadedEmbedder => embedder is { IsValueCreated: true } used ? used.Value : null;

    /// <summary>Whether the model is an encoder with a tokenizer.</summary>
    public bool IsEmbedder => embedder is not null;

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
            var (one, together) = (MeasureShortest(tensors, 1, GainRuns), MeasureShortest(tensors, many, GainRuns));
            Gain = new BatchSpeedup(one, together, many);
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
    public IDisposable AcquireReference() => Scheduler.AcquireReference();

    /// <summary>Rejects new requests. The session is closed after the last running request.</summary>
    public void Dispose() => Scheduler.Dispose();

    /// <summary>Creates the tensors of a batch that starts with this request.</summary>
    internal TensorSet NewTensors(InferRequest first) => first.Alone ? new SingleTensors(this, first)
        : new StackedTensors(this, Binding, first.Inputs.Select(i => RowShape(i!.Shape)), MaxBatch);

    /// <summary>Closes the session. The caller must make sure that no run uses it.</summary>
    internal void Free()
    {
        Generator?.Dispose();
        Binding?.Dispose();
        memory?.Dispose();
        Session.Dispose();
    }

    private ModelBinding Bind(ExecutionProviders providers)
    {
        var facts = new BindingFacts
        {
            Provider = Session.Provider,
            CpuNodes = Session.Placement!.On("cpu"),
            GraphOption = Session.GraphOption,
            InputsVary = Varies(Inputs), OutputsVary = Varies(Outputs),
        };
        var candidates = IsGenerator
            ? [new BindingPlan(TensorBinding.None, Why: "it generates text")]
            : BindingPlan.Candidates(facts);
        try
        {
            return candidates.Count == 0 ? throw new NotSupportedException(BindingPlan.NoGraph(facts))
                : BindingChoice.SelectFirstWorking(this, candidates, memory!, () => providers.Copy(Session.Provider));
        }
        catch (NotSupportedException e)
        {
            throw new NotSupportedException(
                $"{Session.GraphOption}=1 is not possible for model {Name}: {e.Message}; remove the option", e);
        }
    }

    /// <summary>
    /// Runs the model once on zeros, with every free dimension set to 1. The run proves that the provider works, and
    /// takes its cost away from the first request. A text generation model generates a few tokens.
    /// </summary>
    private void FirstRun(ExecutionSlots slots)
    {
        memory = SessionMemory.Create(Session, Session.Provider, Session.Device);
        try
        {
            if (!IsGenerator)
            {
                RunZeros();
                return;
            }

            Generator = new TextGenerator(this, slots, memory, generation);
            if (Generator.FindCacheError() is not { } wrong) return;
            if (Session.Provider == "cpu") throw new NotSupportedException(wrong);
            Session.Abandon(new InvalidOperationException(wrong));
        }
        catch (OnnxRuntimeException e)
        {
            // After a device error, the model runs again on the remaining providers. After an error about the values,
            // the first request is the first run.
            if (!Session.Recover(e))
            {
                if (IsGenerator) throw;
                return;
            }
        }

        // Objects that were allocated from the memory of the old session were released with it.
        Generator = null;
        FirstRun(slots);
    }

    private void FillMadeUp(StackedTensors tensors, int rows)
    {
        var made = Inputs.Select(i => SyntheticInputs.Create(i, 0, rows, Batches)).ToList();
        tensors.Fill(made, rows);
        foreach (var value in made) value.Dispose();
    }
}
