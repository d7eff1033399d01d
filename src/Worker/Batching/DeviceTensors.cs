using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Batching;

/// <summary>
/// A model's tensors on its device, at addresses that stay: what CUDA graphs need, and what spares a run the allocation of its inputs. One set serves all
/// batches, since a device has one lane.
/// </summary>
internal sealed unsafe class DeviceTensors : IDisposable
{
    private readonly LoadedModel model;
    private readonly DeviceCopy copy;
    private readonly bool graph;
    private readonly TensorBuffer[] inputs;
    private readonly TensorBuffer[] outputs;
    private readonly OrtIoBinding?[] bindings;

    /// <summary>Nearly always free: the lanes see to that, but for the moment when they are widened because another model has lost its GPU.</summary>
    private readonly Lock gate = new();

    public DeviceTensors(LoadedModel model, OrtAllocator memory, DeviceCopy copy, bool graph)
    {
        (this.model, this.copy, this.graph) = (model, copy, graph);
        inputs = [.. model.Inputs.Select(i => TensorBuffer.Of(memory, i, model))];
        outputs = [.. model.Outputs.Select(o => TensorBuffer.Of(memory, o, model))];
        bindings = new OrtIoBinding?[model.MaxBatch + 1];
        // A graph's bucket may hold rows that nobody has sent yet; indexes, of all things, must be in range then.
        if (graph) foreach (var input in inputs) Clear(input);
    }

    public void Run(RunOptions options, TensorBuffer[] from, TensorBuffer[] into, int rows)
    {
        lock (gate)
        {
            for (var i = 0; i < inputs.Length; i++) copy.ToDevice(inputs[i].Address, from[i].Address, rows * inputs[i].RowBytes);
            var run = graph ? BindingPlan.Bucket(rows, model.MaxBatch) : rows;
            // A graph for each number of rows, named by it.
            model.Session.Run(options, bindings[run] ??= Bind(run), graph ? run : ModelSession.NoGraph);
            for (var i = 0; i < outputs.Length; i++) copy.ToHost(into[i].Address, outputs[i].Address, rows * outputs[i].RowBytes);
        }
    }

    public void Dispose()
    {
        foreach (var binding in bindings) binding?.Dispose();
        foreach (var tensor in inputs.Concat(outputs)) tensor.Dispose();
    }

    private OrtIoBinding Bind(int rows)
    {
        var binding = model.Session.NewBinding();
        for (var i = 0; i < inputs.Length; i++) binding.BindInput(model.InputNames[i], inputs[i].View(rows));
        for (var i = 0; i < outputs.Length; i++) binding.BindOutput(model.OutputNames[i], outputs[i].View(rows));
        return binding;
    }

    private void Clear(TensorBuffer tensor)
    {
        var bytes = model.MaxBatch * tensor.RowBytes;
        var zeros = NativeMemory.AllocZeroed((nuint)Math.Max(1, bytes));
        try
        {
            copy.ToDevice(tensor.Address, (nint)zeros, bytes);
        }
        finally
        {
            NativeMemory.Free(zeros);
        }
    }
}
