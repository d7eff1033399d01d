using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Models;
using Sluice.Worker.Requests;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Batching;

/// <summary>
/// Contains the tensors of a request that runs alone: inputs with the shapes of the request, and outputs that ONNX
/// Runtime allocates.
/// </summary>
internal sealed class SingleTensors(OnnxModel model, InferRequest request) : TensorSet(model)
{
    private readonly OrtValue[] inputs = Array.ConvertAll(request.Inputs, i => TensorValues.Allocate(i!.Type, i.Shape));
    private string[] wanted = [];
    private IDisposableReadOnlyCollection<OrtValue>? results;

    public override void Fill(InferRequest request, int firstRow)
    {
        for (var i = 0; i < inputs.Length; i++) request.Inputs[i]!.Read(inputs[i]);
        wanted = request.Outputs.Count == 0 ? Model.OutputNames : [.. request.Outputs.Select(o => o.Name)];
    }

    public override void Move(int from, int to, int rows)
    {
        // The set contains only one request, so its rows never move.
    }

    public override TensorSet Extract(int first, int rows) =>
        throw new InvalidOperationException("A request that runs alone has no rows to extract.");

    public override void Run(RunOptions options, int rows) =>
        results = Model.Session.Run(options, Model.InputNames, inputs, wanted);

    public override OutputTensor Output(TensorSpec spec, int firstRow, int rows)
    {
        var value = results![Array.IndexOf(wanted, spec.Name)];
        var info = value.GetTensorTypeAndShape();
        return new OutputTensor(spec, spec.Type, info.Shape, value, 0, info.ElementCount);
    }

    public override void Dispose()
    {
        results?.Dispose();
        foreach (var input in inputs) input.Dispose();
    }
}
