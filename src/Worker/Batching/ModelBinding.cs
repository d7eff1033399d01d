using Sluice.Worker.Models;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Batching;

/// <summary>
/// Contains the binding of one model and its memory. Must be disposed of after the model's sets of tensors and before
/// the session.
/// </summary>
/// <param name="plan">How the model is bound.</param>
/// <param name="memory">Memory of the session.</param>
/// <param name="device">Tensors on the device for staged runs; null for all other bindings.</param>
internal sealed class ModelBinding(BindingPlan plan, SessionMemory memory, DeviceTensors? device) : IDisposable
{
    /// <summary>How the model is bound.</summary>
    public BindingPlan Plan => plan;

    /// <summary>Memory of the session.</summary>
    public SessionMemory Memory => memory;

    /// <summary>Binds host buffers. Returns null if the tensors are passed with each run.</summary>
    public BoundRuns? Attach(OnnxModel model, TensorBuffer[] inputs, TensorBuffer[] outputs, int maxRows) =>
        plan.How switch
        {
            TensorBinding.InPlace => new InPlaceRuns(model, inputs, outputs, maxRows),
            TensorBinding.EachRun => new EachRuns(model, inputs, outputs),
            TensorBinding.Staged => new StagedRuns(model, device!, inputs, outputs),
            _ => null,
        };

    /// <summary>
    /// Describes the binding for operators, for example <c>once, on the device, staged through pinned memory</c>.
    /// </summary>
    public override string ToString()
    {
        var binding = plan.How switch
        {
            TensorBinding.InPlace => "once, in place",
            TensorBinding.EachRun => "for each run" + (memory.Pinned ? ", from pinned memory" : ""),
            TensorBinding.Staged => $"once, on the device, staged through {HostMemory} memory",
            _ => "no",
        };
        return plan.Why.Length > 0 ? $"{binding} ({plan.Why})" : binding;
    }

    private string HostMemory => memory.Pinned ? "pinned" : "pageable";

    public void Dispose() => device?.Dispose();
}
