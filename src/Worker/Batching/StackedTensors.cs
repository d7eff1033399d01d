using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Api;
using Sluice.Worker.Models;

namespace Sluice.Worker.Batching;

/// <summary>
/// Of a model whose requests are stacked. The inputs stand in buffers of the model's largest batch; so do the outputs where only their
/// batch dimension varies, and then a run binds views that exist already.
/// </summary>
internal sealed class StackedTensors : TensorSet
{
    private readonly TensorBuffer[] inputs;
    private readonly TensorBuffer[]? outputs;
    private readonly OrtIoBinding?[] bindings;
    private IDisposableReadOnlyCollection<OrtValue>? results;
    private readonly int most;
    private int ran;

    /// <param name="model">The model.</param>
    /// <param name="rowShapes">Of each input, without the batch dimension; in the model's order.</param>
    /// <param name="rows">Most rows.</param>
    public StackedTensors(LoadedModel model, IEnumerable<long[]> rowShapes, int rows)
        : base(model)
    {
        inputs = [.. model.Inputs.Zip(rowShapes, (i, shape) => new TensorBuffer(i, shape, rows))];
        if (model.Outputs.All(o => o.Shape.Skip(1).All(d => d >= 0)))
            outputs = [.. model.Outputs.Select(o => new TensorBuffer(o, o.Shape[1..], rows))];
        bindings = new OrtIoBinding?[rows + 1];
        most = rows;
    }

    public override bool FitsAny => Model.FixedRows && most == Model.MaxBatch;

    public override TensorSet Extract(int first, int rows)
    {
        var own = new StackedTensors(Model, inputs.Select(i => i.RowShape), rows);
        for (var i = 0; i < inputs.Length; i++) inputs[i].Rows(first, rows).CopyTo(own.inputs[i].Rows(0, rows));
        return own;
    }

    public override void Fill(InferRequest request, int firstRow)
    {
        for (var i = 0; i < inputs.Length; i++) request.Inputs[i]!.Read(inputs[i].Rows(firstRow, request.Rows));
    }

    public override void Move(int from, int to, int rows)
    {
        foreach (var input in inputs) input.Rows(from, rows).CopyTo(input.Rows(to, rows));
    }

    public override void Run(RunOptions options, int rows)
    {
        ran = rows;
        if (outputs is not null)
        {
            Model.Session.Run(options, bindings[rows] ??= Bind(rows));
            return;
        }

        results?.Dispose();
        results = Model.Session.Run(options, Model.InputNames, Array.ConvertAll(inputs, i => i.View(rows)), Model.OutputNames);
        for (var i = 0; i < results.Count; i++)
            if (results[i].GetTensorTypeAndShape().Shape is not [var first, ..] || first != rows)
                throw new InvalidOperationException($"model '{Model.Name}' gave its output '{Model.OutputNames[i]}' another number of rows than {rows}: "
                    + "it cannot be batched (serve it with max_batch_size 0)");
    }

    public override OutputTensor Output(TensorSpec spec, int firstRow, int rows)
    {
        var index = Model.OutputIndex(spec.Name);
        if (outputs is not null)
        {
            var of = outputs[index];
            return new OutputTensor(spec, spec.Type, [rows, .. spec.Shape.AsSpan(1)], of.View(ran), firstRow * of.RowElements, rows * of.RowElements);
        }

        var shape = results![index].GetTensorTypeAndShape().Shape;
        long row = 1;
        foreach (var d in shape.AsSpan(1)) row *= d;
        shape[0] = rows;
        return new OutputTensor(spec, spec.Type, shape, results[index], firstRow * row, rows * row);
    }

    public override void Dispose()
    {
        results?.Dispose();
        foreach (var binding in bindings) binding?.Dispose();
        foreach (var input in inputs) input.Dispose();
        foreach (var output in outputs ?? []) output.Dispose();
    }

    private OrtIoBinding Bind(int rows)
    {
        var binding = Model.Session.NewBinding();
        for (var i = 0; i < inputs.Length; i++) binding.BindInput(Model.InputNames[i], inputs[i].View(rows));
        for (var i = 0; i < outputs!.Length; i++) binding.BindOutput(Model.OutputNames[i], outputs[i].View(rows));
        return binding;
    }
}
