namespace Sluice.Domain.Gpus;

/// <summary>The active NVLinks of a GPU.</summary>
/// <param name="Active">Number of active links.</param>
/// <param name="GBps">Bandwidth of one link in one direction in GB/s: 25 for an A100, 26.562 for an H100.</param>
public readonly record struct NvLinks(int Active, double GBps);
