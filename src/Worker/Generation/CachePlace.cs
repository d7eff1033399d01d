using Sluice.Worker.Providers;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Generation;

/// <summary>Where a decoder's key/value cache must stand; pure. Attention that runs elsewhere than its cache stands is slow at best, and on WebGPU wrong.</summary>
public static class CachePlace
{
    /// <summary>Operators that keep a cache in place (onnxruntime, docs/ContribOperators.md).</summary>
    private static readonly string[] Attention = ["GroupQueryAttention", "MultiHeadAttention", "DecoderMaskedMultiHeadAttention", "PagedAttention", "Attention"];

    /// <summary>True: on the device. Throws <see cref="NotSupportedException"/> when the attention is spread over several memories.</summary>
    /// <param name="placement">Where the nodes are placed.</param>
    /// <param name="provider">The first provider that could be had, for a model whose attention is not told apart.</param>
    public static bool OnDevice(ModelPlacement placement, string provider)
    {
        var memories = placement.Placed.Where(n => Attention.Contains(n.Operator)).Select(n => SessionMemory.Names(n.Provider).Device)
            .DefaultIfEmpty(SessionMemory.Names(provider).Device).Distinct().ToList();
        return memories is [var one] ? one is not null
            : throw new NotSupportedException($"its attention is spread over several devices ({placement}), and its key/value cache can be in one only");
    }
}
