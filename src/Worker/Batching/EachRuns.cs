using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Models;

namespace Sluice.Worker.Batching;

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
