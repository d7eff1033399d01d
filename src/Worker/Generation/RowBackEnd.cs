using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Generation.Decoding;
using Sluice.Worker.Generation.Scheduling;
using Sluice.Worker.Generation.Settings;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Generation;

/// <summary>
/// Models whose cache has a row for each sequence: GroupQueryAttention, and standard attention with past and present.
/// </summary>
internal sealed class RowBackEnd : IGenerationBackEnd
{
    private readonly IKvRows rows;
    private readonly EmbeddingModel? embeddings;

    /// <summary>Creates the decoder.</summary>
    /// <param name="model">The model.</param>
    /// <param name="settings">What the files of the model say.</param>
    /// <param name="memory">Memory of the model's session.</param>
    /// <param name="limits">Limits of concurrent texts and of the cache.</param>
    /// <exception cref="NotSupportedException">
    /// The model is not a supported decoder, or the cache cannot be in the memory that the attention uses.
    /// </exception>
    public RowBackEnd(OnnxModel model, TextModelSettings settings, SessionMemory memory, GenerationLimits limits)
    {
        embeddings = EmbeddingModel.Open(model, settings.Names);
        DecoderLayout layout;
        try
        {
            layout = DecoderLayout.Read(model, settings, embeddings?.Outputs ?? []);
            (rows, Decoder) = Create(model, layout, memory);
        }
        catch
        {
            embeddings?.Dispose();
            throw;
        }

        // The past and the present of a run are further copies.
        var copies = Decoder is AppendingDecoder ? 3 : 1;
        var tokens = limits.CacheTokens(layout.TokenBytes * copies);
        if (rows.IsShared) tokens = Math.Min(tokens, KvSlab.MaxTokens(layout));
        var longest = (int)Math.Min(settings.Context, tokens);
        // Memory that cannot be copied cannot be resized either.
        Limits = new SchedulerLimits(longest, tokens, limits.MaxSequences,
            rows.IsShared ? Math.Min(256, longest) : longest);
    }

    public IDecoder Decoder { get; }

    public SchedulerLimits Limits { get; }

    public ISequenceCache CreateCache(bool keeps) => new SequenceRows(rows, keeps);

    public void Allocate(int rows, int tokens) =>
        this.rows.Resize(this.rows.IsShared ? rows : 1, Limits.LengthFor(tokens), []);

    public void Free() => rows.Dispose();

    public void Dispose()
    {
        Decoder.Dispose();
        rows.Dispose();
        embeddings?.Dispose();
    }

    private (IKvRows Rows, IDecoder Decoder) Create(OnnxModel model, DecoderLayout layout, SessionMemory memory)
    {
        var placement = model.Session.Recorded;
        var onDevice = KvCacheLocation.OnDevice(placement, model.Session.Provider);
        if (KvCacheLocation.InPlace(placement) && onDevice)
        {
            var separate = new SeparateKvRows(layout, memory.Device ?? throw new NotSupportedException(
                $"its key/value cache must be in the memory of {model.Session.Provider}: {memory.Lacks}"));
            return (separate, new InPlaceDecoder(model.Session, layout, separate, embeddings));
        }

        var slab = new KvSlab(layout, OrtAllocator.DefaultInstance);
        return (slab, KvCacheLocation.InPlace(placement)
            ? new InPlaceDecoder(model.Session, layout, slab, embeddings)
            : new AppendingDecoder(model.Session, layout, slab, embeddings));
    }
}
