namespace Sluice.Worker.Batching;

/// <summary>Specifies how the runs of a model access their tensors.</summary>
public enum TensorBinding
{
    /// <summary>The inputs are passed to ONNX Runtime for each run, and ONNX Runtime allocates the outputs.</summary>
    None,

    /// <summary>Bound once for each number of rows: the CPU reads and writes the buffers directly.</summary>
    InPlace,

    /// <summary>Bound for each run: ONNX Runtime copies an input to the device when it is bound.</summary>
    EachRun,

    /// <summary>
    /// Buffers on the device, bound once for each number of rows. The rows of a run are copied to them and from them.
    /// </summary>
    Staged,
}
