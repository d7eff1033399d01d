using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Batching;

/// <summary>
/// Takes the first way to bind a model that works: one through a device must give on made-up rows what an unbound run gives, for different rows one after
/// the other in the same buffers. A binding that reads stale memory makes no error, only wrong answers.
/// </summary>
internal static class BindingChoice
{
    /// <summary>Throws <see cref="NotSupportedException"/> when none works, which is so only where CUDA graphs are demanded.</summary>
    /// <param name="model">The model; it has run.</param>
    /// <param name="candidates">Ways to try.</param>
    /// <param name="memory">The session's.</param>
    /// <param name="copy">How to reach the device's memory; throws when it cannot be.</param>
    public static ModelBinding Take(LoadedModel model, IReadOnlyList<BindingPlan> candidates, SessionMemory memory, Func<DeviceCopy> copy)
    {
        var why = new List<string>();
        foreach (var plan in candidates)
        {
            ModelBinding? binding = null;
            try
            {
                var device = plan.How == TensorBinding.Staged ? new DeviceTensors(model, Device(memory), copy(), plan.Graph) : null;
                binding = new ModelBinding(plan with { Why = string.Join("; ", why.Append(plan.Why).Where(w => w.Length > 0)) }, memory, device);
                if (plan.How is TensorBinding.InPlace or TensorBinding.None || Wrong(model, binding) is not { } wrong) return binding;
                why.Add($"{Name(plan)} {wrong}");
            }
            catch (Exception e) when (e is OnnxRuntimeException or NotSupportedException or InvalidOperationException)
            {
                why.Add($"{Name(plan)} failed: {e.Message}");
            }

            binding?.Dispose();
        }

        throw new NotSupportedException(string.Join("; ", why));
    }

    private static string Name(BindingPlan plan) => plan.Graph ? "a CUDA graph" : plan.How == TensorBinding.Staged ? "staging on the device" : "binding";

    private static OrtAllocator Device(SessionMemory memory) => memory.Device ?? throw new NotSupportedException(memory.Lacks);

    /// <summary>Null: it gives what is right.</summary>
    internal static string? Wrong(LoadedModel model, ModelBinding binding)
    {
        using var bound = new StackedTensors(model, binding, model.Inputs.Select(model.RowShape), model.MaxBatch);
        foreach (var rows in new[] { 1, Math.Min(2, model.MaxBatch) })
            // Three times: a graph is captured by the second run, and the third one is the first that is replayed.
            for (var first = 0; first < 3; first++)
            {
                using var options = new RunOptions();
                var made = model.Inputs.Select(i => MadeUpRows.Of(i, first, rows, model.Batches)).ToList();
                try
                {
                    using var expected = model.RunOnce(made);
                    bound.Fill(made, rows);
                    bound.Run(options, rows);
                    for (var o = 0; o < expected.Count; o++)
                        if (!MadeUpRows.Alike(expected[o].GetTensorMutableRawData(), bound.Output(model.Outputs[o], 0, rows).Raw, model.Outputs[o].Type))
                            return $"gave another '{model.OutputNames[o]}' than a run without it";
                }
                finally
                {
                    foreach (var value in made) value.Dispose();
                }
            }

        return null;
    }
}
