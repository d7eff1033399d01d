using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Models;

namespace Sluice.Worker.Batching;

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
