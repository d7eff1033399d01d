namespace Sluice.Worker.Models;

/// <summary>Limits of a model's batches and of its request queue.</summary>
/// <param name="MaxRows">Largest number of rows in one run. On a CPU, 32 rows reach the full gain of batching for
/// models whose layers are limited by reading their weights, and have no cost for other models (measured: facts on
/// ONNX Runtime, section 3).</param>
/// <param name="MaxQueue">Requests that can wait for a run. The worker rejects further requests with 503.</param>
/// <param name="MaxBytes">Bytes of the tensors of one batch, as far as their sizes are known before the run. The first
/// request of a batch allocates memory for the whole batch, which is many times larger than the request itself. The
/// default is the largest size of a request.</param>
public sealed record BatchLimits(int MaxRows = 32, int MaxQueue = 1000, long MaxBytes = 64L << 20)
{
    /// <summary>
    /// Returns how many rows of this size a batch can have. With fewer than 2 rows, batching has no effect.
    /// </summary>
    public int RowsOf(long rowBytes) => (int)Math.Min(MaxRows, MaxBytes / Math.Max(1, rowBytes));
}
