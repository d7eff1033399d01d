using Sluice.Worker.Providers;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Generation.Decoding;

/// <summary>
/// Decides in which memory the key/value cache of a decoder is stored. Pure. Attention that runs on another device
/// than its cache is slow, and on WebGPU it returns wrong results.
/// </summary>
public static class KvCacheLocation
{
    /// <summary>Operators that update a cache in place (onnxruntime, docs/ContribOperators.md).</summary>
    private static readonly string[] Attention =
    [
        "GroupQueryAttention", "MultiHeadAttention", "DecoderMaskedMultiHeadAttention", "PagedAttention", "Attention",
    ];

    /// <summary>
    /// Returns whether the attention extends the cache in place. Standard attention returns a new, longer tensor.
    /// </summary>
    /// <param name="placement">Placement of the model's nodes.</param>
    public static bool InPlace(ModelPlacement placement) =>
        placement.Placed.Any(n => n.Operator is "GroupQueryAttention" or "DecoderMaskedMultiHeadAttention");

    /// <summary>Returns whether the cache must be in the memory of the device.</summary>
    /// <param name="placement">Placement of the model's nodes.</param>
    /// <param name="provider">
    /// The first available provider. It is used for a model without a known attention operator.
    /// </param>
    /// <exception cref="NotSupportedException">The attention runs in several memories.</exception>
    public static bool OnDevice(ModelPlacement placement, string provider)
    {
        var memories = placement.Placed
            .Where(n => Attention.Contains(n.Operator))
            .Select(n => SessionMemory.Names(n.Provider).Device)
            .DefaultIfEmpty(SessionMemory.Names(provider).Device)
            .Distinct()
            .ToList();
        return memories is [var memory]
            ? memory is not null
            : throw new NotSupportedException(
                $"its attention is spread over several devices ({placement}), "
                + "and its key/value cache can be in one only");
    }
}
