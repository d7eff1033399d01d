using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Api;
using Sluice.Worker.Models;

namespace Sluice.Worker.Batching;

/// <summary>The memory of one batch: its inputs, and its outputs where their shapes are known before the run.</summary>
internal abstract class TensorSet(LoadedModel model) : IDisposable
{
    protected LoadedModel Model => model;

    /// <summary>It serves any batch of its model, so that it is worth keeping.</summary>
    public virtual bool FitsAny => false;

    /// <summary>Of the host's memory that it keeps; 0 where that is its request's own.</summary>
    public virtual long Bytes => 0;

    /// <summary>Reads a request's tensors into its rows.</summary>
    public abstract void Fill(InferRequest request, int firstRow);

    /// <summary>Moves rows up.</summary>
    public abstract void Move(int from, int to, int rows);

    /// <summary>Some rows, inputs only, as a set of their own.</summary>
    public abstract TensorSet Extract(int first, int rows);

    public abstract void Run(RunOptions options, int rows);

    /// <summary>A request's part of an output.</summary>
    public abstract OutputTensor Output(TensorSpec spec, int firstRow, int rows);

    public abstract void Dispose();
}
