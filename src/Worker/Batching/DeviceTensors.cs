using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Batching;

/// <summary>
/// Contains the tensors of a model on its device, at fixed addresses. CUDA graphs need fixed addresses, and runs need
/// no allocation of inputs. All batches use the same set, because a device has one slot.
/// </summary>
internal sealed unsafe class DeviceTensors : IDisposable
{
    private readonly OnnxModel model;
    private readonly DeviceCopy copy;
    private readonly bool graph;
    private readonly TensorBuffer[] inputs;
    private readonly TensorBuffer[] outputs;
    private readonly OrtIoBinding?[] bindings;

    /// <summary>
    /// Serializes runs. The lock is nearly always free, because the slots serialize the runs of a device. The
    /// exception is the moment when slots are added because another model has lost its GPU.
    /// </summary>
    private readonly Lock gate = new();

    /// <param name="model">The model.</param>
    /// <param name="memory">Allocator of the device.</param>
    /// <param name="copy">Copies between host and device.</param>
    /// <param name="graph">Whether runs are captured as CUDA graphs.</param>
    public DeviceTensors(OnnxModel model, OrtAllocator memory, DeviceCopy copy, bool graph)
    {
        this.model = model;
        this.copy = copy;
        this.graph = graph;
        inputs = [.. model.Inputs.Select(i => TensorBuffer.ForLargestBatch(memory, i, model))];
        outputs = [.. model.Outputs.Select(o => TensorBuffer.ForLargestBatch(memory, o, model))];
        bindings = new OrtIoBinding?[model.MaxBatch + 1];
        // The bucket of a graph can include rows without data. They are set to zero, so that index inputs are in range.
        if (graph) foreach (var input in inputs) Clear(input);
    }

    /// <summary>
    /// Copies the first rows of the inputs to the device, runs the model, and copies the outputs back.
    /// </summary>
    public void Run(RunOptions options, TensorBuffer[] from, TensorBuffer[] into, int rows)
    {
        lock (gate)
        {
            for (var i = 0; i < inputs.Length; i++)
                copy.ToDevice(inputs[i].Address, from[i].Address, rows * inputs[i].RowBytes);
            var run = graph ? BindingPlan.Bucket(rows, model.MaxBatch) : rows;
            // Each number of rows has its own graph; the number is the id of the graph.
            model.Session.Run(options, bindings[run] ??= Bind(run), graph ? run : ModelSession.NoGraph);
            for (var i = 0; i < outputs.Length; i++)
                copy.ToHost(into[i].Address, outputs[i].Address, rows * outputs[i].RowBytes);
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
