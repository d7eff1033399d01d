using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;
using Sluice.Domain.Notation;

namespace Sluice.Domain.Gpus;

/// <summary>The number format that a model computes with. It determines which GPUs can run the model.</summary>
[JsonConverter(typeof(PrecisionConverter))]
public enum Precision
{
    Fp32,
    Fp16,
    Bf16,
    [SuppressMessage("Naming", "CA1720", Justification = "INT8 is the standard name.")]
    Int8,
    Fp8,
    Fp4,
}

/// <summary>Converts precisions from and to the names that operators use: <c>fp16</c>.</summary>
public sealed class PrecisionConverter() : NamedConverter<Precision>(("fp32", Precision.Fp32), ("fp16", Precision.Fp16),
    ("bf16", Precision.Bf16), ("int8", Precision.Int8), ("fp8", Precision.Fp8), ("fp4", Precision.Fp4));
