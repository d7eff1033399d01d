using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;
using Sluice.Core.Endpoints;

namespace Sluice.Core.Gpus;

/// <summary>The numbers that a model computes with; it decides which GPUs can run it at all.</summary>
[JsonConverter(typeof(PrecisionConverter))]
public enum Precision
{
    Fp32,
    Fp16,
    Bf16,
    [SuppressMessage("Naming", "CA1720", Justification = "It is what everybody calls it.")]
    Int8,
    Fp8,
    Fp4,
}

/// <summary>Precisions as operators write them: <c>fp16</c>.</summary>
public sealed class PrecisionConverter() : NamedConverter<Precision>(("fp32", Precision.Fp32), ("fp16", Precision.Fp16),
    ("bf16", Precision.Bf16), ("int8", Precision.Int8), ("fp8", Precision.Fp8), ("fp4", Precision.Fp4));

/// <summary>Which GPUs can compute with a precision.</summary>
public static class Precisions
{
    /// <summary>
    /// The least compute capability. FP16 7.0, BF16 8.0, FP8 8.9, FP4 10.0: NVIDIA's TensorRT support matrix, and Transformer
    /// Engine's for the last three. INT8 6.1: the dot product of bytes (DP4A) is there from Pascal on (CUDA programming guide);
    /// tensor cores take them from 7.5.
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

    /// <summary>All that a GPU can compute with, by name.</summary>
    public static IReadOnlyList<string> Of(ComputeCapability compute) =>
        [.. Enum.GetValues<Precision>().Where(p => compute >= Least(p)).Select(Name)];

    public static string Name(Precision precision) => precision.ToString().ToLowerInvariant();
}
