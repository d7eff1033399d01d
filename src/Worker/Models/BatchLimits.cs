namespace Sluice.Worker.Models;

/// <summary>What a model's batches and its queue may hold.</summary>
/// <param name="MaxRows">Rows of one run. On a CPU 32 reaches what batching gives where layers are bound by their weights, and costs nothing
/// where they are not (measured: facts on ONNX Runtime, section 3).</param>
/// <param name="MaxQueue">Requests that may wait for a run; more are refused with 503.</param>
public sealed record BatchLimits(int MaxRows = 32, int MaxQueue = 1000);
