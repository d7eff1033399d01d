namespace Sluice.Worker.Models;

/// <summary>What a model's batches and its queue may hold.</summary>
/// <param name="MaxRows">Rows of one run. On a CPU 32 reaches what batching gives where layers are bound by their weights, and costs nothing
/// where they are not (measured: facts on ONNX Runtime, section 3).</param>
/// <param name="MaxQueue">Requests that may wait for a run; more are refused with 503.</param>
/// <param name="MaxBytes">Tensors of one batch, as far as they are known before it runs: memory for a whole batch is taken for the first request
/// of it, and is that many times larger than what that one sent. As large as a request may be.</param>
public sealed record BatchLimits(int MaxRows = 32, int MaxQueue = 1000, long MaxBytes = 64L << 20)
{
    /// <summary>How many rows of this size a batch may have; with less than 2 there is nothing to stack.</summary>
    public int RowsOf(long rowBytes) => (int)Math.Min(MaxRows, MaxBytes / Math.Max(1, rowBytes));
}
