using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Models;

namespace Sluice.Worker.Batching;

/// <summary>Runs a model on one set of host buffers; see <see cref="TensorBinding"/>.</summary>
internal abstract class BoundRuns(OnnxModel model, TensorBuffer[] inputs, TensorBuffer[] outputs) : IDisposable
{
    protected OnnxModel Model => model;

    protected TensorBuffer[] Inputs => inputs;

    protected TensorBuffer[] Outputs => outputs;

    /// <summary>Runs the model on the first rows, and writes their outputs to the host buffers.</summary>
    public abstract void Run(RunOptions options, int rows);

    public abstract void Dispose();

    /// <summary>Binds views of the first rows of all buffers.</summary>
    protected void Bind(OrtIoBinding binding, int rows)
    {
        for (var i = 0; i < inputs.Length; i++) binding.BindInput(model.InputNames[i], inputs[i].View(rows));
        for (var i = 0; i < outputs.Length; i++) binding.BindOutput(model.OutputNames[i], outputs[i].View(rows));
    }
}
