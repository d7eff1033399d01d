using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Models;
using Sluice.Worker.Requests;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Batching;

/// <summary>
/// Contains the memory of one batch: its inputs, and its outputs if their shapes are known before the run.
/// </summary>
internal abstract class TensorSet(OnnxModel model) : IDisposable
{
    /// <summary>The model.</summary>
    protected OnnxModel Model => model;

    /// <summary>Whether the set fits every batch of its model and can therefore be pooled.</summary>
    public virtual bool FitsAny => false;

    /// <summary>
    /// Size of the host memory that belongs to the set, in bytes; 0 if it belongs to a single request.
    /// </summary>
    public virtual long Bytes => 0;

    /// <summary>Reads the tensors of a request into its rows.</summary>
    public abstract void Fill(InferRequest request, int firstRow);

    /// <summary>Moves rows up.</summary>
    public abstract void Move(int from, int to, int rows);

    /// <summary>Copies the inputs of some rows to a new set.</summary>
    public abstract TensorSet Extract(int first, int rows);

    /// <summary>Runs the model on the first rows.</summary>
    public abstract void Run(RunOptions options, int rows);

    /// <summary>Returns a request's part of an output.</summary>
    public abstract OutputTensor Output(TensorSpec spec, int firstRow, int rows);

    public abstract void Dispose();
}
