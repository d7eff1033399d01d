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

/// <inheritdoc cref="TensorBinding.InPlace"/>
internal sealed class InPlaceRuns(OnnxModel model, TensorBuffer[] inputs, TensorBuffer[] outputs, int maxRows)
    : BoundRuns(model, inputs, outputs)
{
    private readonly OrtIoBinding?[] bindings = new OrtIoBinding?[maxRows + 1];

    public override void Run(RunOptions options, int rows)
    {
        if (bindings[rows] is null) Bind(bindings[rows] = Model.Session.NewBinding(), rows);
        Model.Session.Run(options, bindings[rows]!);
    }

    public override void Dispose()
    {
        foreach (var binding in bindings) binding?.Dispose();
    }
}

/// <inheritdoc cref="TensorBinding.EachRun"/>
internal sealed class EachRuns(OnnxModel model, TensorBuffer[] inputs, TensorBuffer[] outputs)
    : BoundRuns(model, inputs, outputs)
{
    private readonly OrtIoBinding binding = model.Session.NewBinding();

    public override void Run(RunOptions options, int rows)
    {
        Bind(binding, rows);
        Model.Session.Run(options, binding);
    }

    public override void Dispose() => binding.Dispose();
}

/// <inheritdoc cref="TensorBinding.Staged"/>
internal sealed class StagedRuns(
    OnnxModel model,
    DeviceTensors device,
    TensorBuffer[] inputs,
    TensorBuffer[] outputs)
    : BoundRuns(model, inputs, outputs)
{
    public override void Run(RunOptions options, int rows) => device.Run(options, Inputs, Outputs, rows);

    public override void Dispose()
    {
        // The bindings belong to the model.
    }
}
