using Sluice.Worker.Models;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Batching;

/// <summary>How one model is bound, and the memory for it. To be disposed of after its sets of tensors, before the session.</summary>
/// <param name="plan">How.</param>
/// <param name="memory">The session's.</param>
/// <param name="device">Its tensors on the device, where runs are staged.</param>
internal sealed class ModelBinding(BindingPlan plan, SessionMemory memory, DeviceTensors? device) : IDisposable
{
    public BindingPlan Plan => plan;

    public SessionMemory Memory => memory;

    /// <summary>Runs on these host buffers; null: they are given to each run.</summary>
    public BoundRuns? Attach(LoadedModel model, TensorBuffer[] inputs, TensorBuffer[] outputs, int most) => plan.How switch
    {
        TensorBinding.InPlace => new InPlaceRuns(model, inputs, outputs, most),
        TensorBinding.EachRun => new EachRuns(model, inputs, outputs),
        TensorBinding.Staged => new StagedRuns(model, device!, inputs, outputs),
        _ => null,
    };

    /// <summary><c>staged through pinned memory, replayed as a CUDA graph</c>; for operators.</summary>
    public override string ToString() => plan.How switch
    {
        TensorBinding.InPlace => "once, in place",
        TensorBinding.EachRun => "for each run" + (memory.Pinned ? ", from pinned memory" : ""),
        TensorBinding.Staged => "once, on the device, staged through " + (memory.Pinned ? "pinned" : "pageable") + " memory",
        _ => "no",
    } + (plan.Why.Length > 0 ? $" ({plan.Why})" : "");

    public void Dispose() => device?.Dispose();
}
