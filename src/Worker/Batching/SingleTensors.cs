using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Api;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Batching;

/// <summary>Of a request that goes alone: tensors of its own shapes, outputs as ONNX Runtime allocates them.</summary>
internal sealed class SingleTensors(LoadedModel model, InferRequest request) : TensorSet(model)
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
        // There is nobody else.
    }

    public override TensorSet Extract(int first, int rows) => throw new InvalidOperationException("a request that goes alone is no part of a batch");

    public override void Run(RunOptions options, int rows) => results = Model.Session.Run(options, Model.InputNames, inputs, wanted);

    public override OutputTensor Output(TensorSpec spec, int firstRow, int rows)
    {
        var value = results![Array.IndexOf(wanted, spec.Name)];
        var of = value.GetTensorTypeAndShape();
        return new OutputTensor(spec, spec.Type, of.Shape, value, 0, of.ElementCount);
    }

    public override void Dispose()
    {
        results?.Dispose();
        foreach (var input in inputs) input.Dispose();
    }
}
