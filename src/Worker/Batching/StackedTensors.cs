using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Models;
using Sluice.Worker.Requests;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Batching;

/// <summary>
/// Contains the tensors of a batch in buffers with the size of the model's largest batch. Outputs have buffers too if
/// only their number of rows varies. Used for models whose requests are stacked, and for models with fixed shapes,
/// which have batches of one row. The model's binding determines how a run accesses the buffers.
/// </summary>
internal sealed class StackedTensors : TensorSet
{
    private readonly ModelBinding binding;
    private readonly TensorBuffer[] inputs;
    private readonly TensorBuffer[]? outputs;
    private readonly BoundRuns? runs;
    private readonly int maxRows;
    private IDisposableReadOnlyCollection<OrtValue>? results;
    private int lastRows;

    /// <param name="model">The model.</param>
    /// <param name="binding">The model's binding.</param>
    /// <param name="rowShapes">Shape of each input without the batch dimension, in the model's order.</param>
    /// <param name="maxRows">Maximum number of rows.</param>
    public StackedTensors(OnnxModel model, ModelBinding binding, IEnumerable<long[]> rowShapes, int maxRows)
        : base(model)
    {
        this.binding = binding;
        this.maxRows = maxRows;
        var host = binding.Memory.Host;
        inputs =
        [
            .. model.Inputs.Zip(rowShapes, (i, shape) => new TensorBuffer(host, i, shape, maxRows, model.Batches)),
        ];
        if (binding.Plan.How == TensorBinding.None) return;
        outputs =
        [
            .. model.Outputs.Select(o => new TensorBuffer(host, o, model.RowShape(o), maxRows, model.Batches)),
        ];
        runs = binding.Attach(model, inputs, outputs, maxRows);
    }

    public override bool FitsAny => Model.FixedRows && maxRows == Model.MaxBatch;

    public override long Bytes => maxRows * (inputs.Sum(i => i.RowBytes) + (outputs?.Sum(o => o.RowBytes) ?? 0));

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

    /// <summary>Copies the rows of tensors to the first rows.</summary>
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
        lastRows = rows;
        if (runs is not null)
        {
            runs.Run(options, rows);
            return;
        }

        results?.Dispose();
        var views = Array.ConvertAll(inputs, i => i.View(rows));
        results = Model.Session.Run(options, Model.InputNames, views, Model.OutputNames);
        for (var i = 0; i < results.Count; i++)
        {
            var shape = results[i].GetTensorTypeAndShape().Shape;
            if (shape is not [var first, ..] || first != rows)
                throw new InvalidOperationException(
                    $"The shape of output '{Model.OutputNames[i]}' of model '{Model.Name}' is "
                    + $"'{TensorSpec.Text(shape)}'; expected {rows} rows: the model cannot be batched. "
                    + "Serve it with SLUICE_MAX_BATCH=0.");
        }
    }

    public override OutputTensor Output(TensorSpec spec, int firstRow, int rows)
    {
        var index = Model.OutputIndex(spec.Name);
        if (outputs is not null)
        {
            var buffer = outputs[index];
            return new OutputTensor(
                spec,
                spec.Type,
                buffer.Shape(rows),
                buffer.View(lastRows),
                firstRow * buffer.RowElements,
                rows * buffer.RowElements);
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
