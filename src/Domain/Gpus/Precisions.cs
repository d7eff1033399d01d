namespace Sluice.Domain.Gpus;

/// <summary>Defines which GPUs support a precision.</summary>
public static class Precisions
{
    /// <summary>
    /// Returns the minimum compute capability of a precision. FP16 7.0, BF16 8.0, FP8 8.9, FP4 10.0: NVIDIA's TensorRT
    /// support matrix, and Transformer Engine's matrix for the last three. INT8 6.1: the byte dot product (DP4A) is
    /// available since Pascal (CUDA programming guide); tensor cores support it from 7.5.
    /// </summary>
    public static ComputeCapability Least(Precision precision) => precision switch
    {
        Precision.Fp32 => new(0, 0),
        Precision.Int8 => new(6, 1),
        Precision.Fp16 => new(7, 0),
        Precision.Bf16 => new(8, 0),
        Precision.Fp8 => new(8, 9),
        Precision.Fp4 => new(10, 0),
        _ => throw new ArgumentOutOfRangeException(nameof(precision), precision, "unknown precision"),
    };

    /// <summary>Returns the names of all precisions that a GPU supports.</summary>
    public static IReadOnlyList<string> GetSupported(ComputeCapability compute) =>
        [.. Enum.GetValues<Precision>().Where(p => compute >= Least(p)).Select(Name)];

    public static string Name(Precision precision) => precision.ToString().ToLowerInvariant();
}
