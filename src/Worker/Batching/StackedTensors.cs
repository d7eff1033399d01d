using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Api;
using Sluice.Worker.Models;

namespace Sluice.Worker.Batching;

/// <summary>
/// Tensors in buffers of the model's largest batch, the outputs too where only their rows vary: of a model whose requests are stacked, or whose shapes are
/// all fixed, which is a batch of one row. How a run reaches them is the model's binding's to say.
/// </summary>
internal sealed class StackedTensors : TensorSet
{
    private readonly ModelBinding binding;
    private readonly TensorBuffer[] inputs;
    private readonly TensorBuffer[]? outputs;
    private readonly BoundRuns? runs;
    private readonly int most;
    private IDisposableReadOnlyCollection<OrtValue>? results;
    private int ran;

    /// <param name="model">The model.</param>
    /// <param name="binding">How it is bound.</param>
    /// <param name="rowShapes">Of each input, without the dimension of rows; in the model's order.</param>
    /// <param name="rows">Most rows.</param>
    public StackedTensors(LoadedModel model, ModelBinding binding, IEnumerable<long[]> rowShapes, int rows)
        : base(model)
    {
        (this.binding, most) = (binding, rows);
        inputs = [.. model.Inputs.Zip(rowShapes, (i, shape) => new TensorBuffer(binding.Memory.Host, i, shape, rows, model.Batches))];
        if (binding.Plan.How == TensorBinding.None) return;
        outputs = [.. model.Outputs.Select(o => new TensorBuffer(binding.Memory.Host, o, model.RowShape(o), rows, model.Batches))];
        runs = binding.Attach(model, inputs, outputs, rows);
    }

    public override bool FitsAny => Model.FixedRows && most == Model.MaxBatch;

    public override long Bytes => most * (inputs.Sum(i => i.RowBytes) + (outputs?.Sum(o => o.RowBytes) ?? 0));

    public override TensorSet Extract(int first, int rows)
    {
        var own = new StackedTensors(Model, binding, inputs.Select(i => i.RowShape), rows);
        for (var i = 0; i < inputs.Length; i++) inputs[i].Rows(first, rows).CopyTo(own.inputs[i].Rows(0, rows));
        return own;
    }

    public override void Fill(InferRequest request, int firstRow)
    {
        for (var i = 0; i < inputs.Length; i++) request.Inputs[i]!.Read(inputs[i].Rows(firstRow, request.Rows));
    }

    /// <summary>Fills its first rows with those of tensors.</summary>
    public void Fill(IReadOnlyList<OrtValue> values, int rows)
    {
        for (var i = 0; i < inputs.Length; i++) values[i].GetTensorMutableRawData().CopyTo(inputs[i].Rows(0, rows));
    }

    public override void Move(int from, int to, int rows)
    {
        foreach (var input in inputs) input.Rows(from, rows).CopyTo(input.Rows(to, rows));
    }

    public override void Run(RunOptions options, int rows)
    {
        ran = rows;
        if (runs is not null)
        {
            runs.Run(options, rows);
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
            return new OutputTensor(spec, spec.Type, of.Shape(rows), of.View(ran), firstRow * of.RowElements, rows * of.RowElements);
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
        runs?.Dispose();
        foreach (var input in inputs) input.Dispose();
        foreach (var output in outputs ?? []) output.Dispose();
    }
}
