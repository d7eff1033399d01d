using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Models;

namespace Sluice.Worker.Batching;

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
