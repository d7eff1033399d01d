using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Batching;

/// <summary>
/// Selects the first binding of a model that works. A binding through a device must return the same outputs as an
/// unbound run on synthetic rows, for several different sets of rows in the same buffers. The test is needed because
/// a binding that reads stale memory causes no error, only wrong outputs.
/// </summary>
internal static class BindingChoice
{
    /// <summary>Selects the first candidate that works.</summary>
    /// <param name="model">The model. It must have run at least once.</param>
    /// <param name="candidates">Bindings to try, in order of preference.</param>
    /// <param name="memory">Memory of the session.</param>
    /// <param name="copy">Creates the copy functions for the device's memory; throws if they are not available.</param>
    /// <exception cref="NotSupportedException">
    /// No candidate works. This happens only if CUDA graphs are required.
    /// </exception>
    public static ModelBinding SelectFirstWorking(
        OnnxModel model,
        IReadOnlyList<BindingPlan> candidates,
        SessionMemory memory,
        Func<DeviceCopy> copy)
    {
        var why = new List<string>();
        foreach (var plan in candidates)
        {
            ModelBinding? binding = null;
            try
            {
                var device = plan.How == TensorBinding.Staged
                    ? new DeviceTensors(model, Device(memory), copy(), plan.Graph)
                    : null;
                var reasons = string.Join("; ", why.Append(plan.Why).Where(w => w.Length > 0));
                binding = new ModelBinding(plan with { Why = reasons }, memory, device);
                if (plan.How is TensorBinding.InPlace or TensorBinding.None) return binding;
                if (FindMismatch(model, binding) is not { } mismatch) return binding;
                why.Add($"{Name(plan)} {mismatch}");
            }
            catch (Exception e) when (e is OnnxRuntimeException or NotSupportedException or InvalidOperationException)
            {
                why.Add($"{Name(plan)} failed: {e.Message}");
            }

            binding?.Dispose();
        }

        throw new NotSupportedException(string.Join("; ", why));
    }

    private static string Name(BindingPlan plan) => plan.How switch
    {
        _ when plan.Graph => "a CUDA graph",
        TensorBinding.Staged => "staging on the device",
        _ => "binding",
    };

    private static OrtAllocator Device(SessionMemory memory) =>
        memory.Device ?? throw new NotSupportedException(memory.Lacks);

    /// <summary>Compares bound runs with unbound runs.</summary>
    /// <returns>Null if all outputs are equal, else a description of the first difference.</returns>
    internal static string? FindMismatch(OnnxModel model, ModelBinding binding)
    {
        using var bound = new StackedTensors(model, binding, model.Inputs.Select(model.RowShape), model.MaxBatch);
        foreach (var rows in new[] { 1, Math.Min(2, model.MaxBatch) })
            // Three runs are needed: the second run captures a graph, and the third run is the first one that replays
            // it.
            for (var first = 0; first < 3; first++)
            {
                using var options = new RunOptions();
                var inputs = model.Inputs.Select(i => SyntheticInputs.Create(i, first, rows, model.Batches)).ToList();
                try
                {
                    using var expected = model.RunOnce(inputs);
                    bound.Fill(inputs, rows);
                    bound.Run(options, rows);
                    for (var o = 0; o < expected.Count; o++)
                    {
                        var actual = bound.Output(model.Outputs[o], 0, rows).Raw;
                        if (!SyntheticInputs.Alike(
                            expected[o].GetTensorMutableRawData(), actual, model.Outputs[o].Type))
                            return $"returned another '{model.OutputNames[o]}' than an unbound run";
                    }
                }
                finally
                {
                    foreach (var value in inputs) value.Dispose();
                }
            }

        return null;
    }
}
