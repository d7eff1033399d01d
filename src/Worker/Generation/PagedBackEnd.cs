using System.Numerics;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Generation.Decoding;
using Sluice.Worker.Generation.Scheduling;
using Sluice.Worker.Generation.Settings;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Generation;

/// <summary>Models with PagedAttention, whose cache has blocks that any sequence can use.</summary>
internal sealed class PagedBackEnd : IGenerationBackEnd
{
    /// <summary>The most sequences of one run (onnxruntime, contrib_ops/cuda/bert/paged_attention_impl.cu).</summary>
    private const int MostSequences = 256;

    /// <summary>
    /// Block sizes if the model states none. The kernel of CUDA is fastest with multiples of 256, as GenAI's model
    /// builder writes. WebGPU reads prompts without a copy of the cache from 32 on.
    /// </summary>
    private const int CudaBlock = 256, OtherBlock = 32;

    /// <summary>The operator requires a power of two from this number on.</summary>
    private const int LeastBlock = 16;

    private readonly PagedKvCache cache;
    private readonly CellCopy? copy;

    /// <summary>Creates the decoder and allocates its cache once, to find out how large it can be.</summary>
    /// <param name="model">The model.</param>
    /// <param name="settings">What the files of the model say.</param>
    /// <param name="memory">Memory of the model's session.</param>
    /// <param name="limits">Limits of concurrent texts and of the cache.</param>
    /// <exception cref="NotSupportedException">
    /// The model is not a supported decoder, or the cache cannot be in the memory that the attention uses.
    /// </exception>
    public PagedBackEnd(OnnxModel model, TextModelSettings settings, SessionMemory memory, GenerationLimits limits)
    {
        var layout = PagedLayout.Read(model, settings);
        var device = memory.Device ?? throw new NotSupportedException(
            $"its key/value cache must be in the memory of the device that has PagedAttention; {model.Session.Provider}"
            + $" has none{(memory.Lacks.Length > 0 ? $": {memory.Lacks}" : "")}");
        var size = BlockSize(model, layout, settings);
        var sequences = Math.Min(limits.MaxSequences, MostSequences);
        var useful = (long)sequences * ((settings.Context + size - 1) / size);
        var largest = int.MaxValue / (size * layout.Cache.Max(c => c.TokenBytes));
        var blocks = Math.Min(Math.Min(useful, largest), limits.CacheTokens(layout.TokenBytes) / size);
        // All layers of a model have one element type.
        copy = CellCopy.Open(model.Session, layout.Cache[0].Type);
        cache = Allocate(layout, device, (int)Math.Max(2, blocks), size, copy);
        Decoder = new PagedDecoder(model.Session, layout, cache);
        var tokens = (long)cache.Blocks * size;
        Limits = new SchedulerLimits((int)Math.Min(settings.Context, tokens), tokens, sequences) { BlockSize = size };
    }

    public IDecoder Decoder { get; }

    public SchedulerLimits Limits { get; }

    public ISequenceCache CreateCache(bool keeps) => new SequenceBlocks(cache, keeps);

    public void Allocate(int rows, int tokens)
    {
        cache.Allocate();
        var each = (tokens + cache.BlockSize - 1) / cache.BlockSize;
        for (var row = 0; row < rows; row++)
            cache.Tables.Add([.. Enumerable.Range(row * each, each)]);
    }

    public void Free() => cache.Dispose();

    public void Dispose()
    {
        Decoder.Dispose();
        cache.Dispose();
        copy?.Dispose();
    }

    private static int BlockSize(OnnxModel model, PagedLayout layout, TextModelSettings settings)
    {
        var stated = PagedLayout.FixedBlockSize(model, layout);
        if (stated == 0) stated = settings.BlockSize;
        if (stated == 0) return model.Session.Provider == "webgpu" ? OtherBlock : CudaBlock;
        return stated >= LeastBlock && BitOperations.IsPow2(stated)
            ? stated
            : throw new NotSupportedException(
                $"the block size of its key/value cache is '{stated}'; expected a power of two, at least {LeastBlock}");
    }

    /// <summary>Halves the cache until there is memory for it.</summary>
    private static PagedKvCache Allocate(
        PagedLayout layout,
        OrtAllocator device,
        int blocks,
        int size,
        CellCopy? copy)
    {
        while (true)
        {
            var cache = new PagedKvCache(layout, device, blocks, size, copy);
            try
            {
                cache.Allocate();
                return cache;
            }
            catch (OnnxRuntimeException) when (blocks > 2)
            {
                blocks /= 2;
            }
        }
    }
}
