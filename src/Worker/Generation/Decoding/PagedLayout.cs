using Sluice.Worker.Generation.Settings;
using Sluice.Worker.Models;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Generation.Decoding;

/// <summary>
/// The inputs and outputs of a decoder with PagedAttention, as the model builder of ONNX Runtime GenAI writes them:
/// the tokens of all sequences without padding, the bounds of the sequences, the numbers of their blocks, and for each
/// layer the keys and values of all blocks. The names are those of <see cref="DecoderNames"/>.
/// </summary>
internal sealed class PagedLayout
{
    private static readonly string[] WholeNumbers = ["INT32", "INT64"];

    private PagedLayout(
        DecoderNames names,
        string lengths,
        IReadOnlyList<KvTensor> cache,
        TensorSpec ids,
        int bounds,
        TensorSpec logits,
        int vocabulary)
    {
        Names = names;
        Lengths = lengths;
        Cache = cache;
        HasLongIds = ids.Type.Name == "INT64";
        Bounds = bounds;
        Logits = logits.Type;
        Vocabulary = vocabulary;
    }

    /// <summary>Names of the inputs and outputs.</summary>
    public DecoderNames Names { get; }

    /// <summary>Name of the input for the bounds of the sequences.</summary>
    public string Lengths { get; }

    /// <summary>The key/value tensors of all layers.</summary>
    public IReadOnlyList<KvTensor> Cache { get; }

    /// <summary>Whether the tokens have 64 bits, and not 32.</summary>
    public bool HasLongIds { get; }

    /// <summary>Number of values of the input for the bounds of the lengths. 0: the model has no such input.</summary>
    public int Bounds { get; }

    /// <summary>Element type of the logits.</summary>
    public DataType Logits { get; }

    /// <summary>Number of values of the logits, at least the number of tokens in the vocabulary.</summary>
    public int Vocabulary { get; }

    /// <summary>Bytes that one token takes in the cache, in all layers.</summary>
    public long TokenBytes => Cache.Sum(c => c.TokenBytes);

    /// <summary>Returns whether a model has the inputs of a paged cache.</summary>
    public static bool Matches(OnnxModel model, DecoderNames names) => model.Input(names.BlockTable) is not null;

    /// <summary>Reads the layout of a model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="settings">Names of the tensors, and the vocabulary if the model does not state it.</param>
    /// <exception cref="NotSupportedException">
    /// An input or output is missing, or has a shape or type that is not supported; the message names it.
    /// </exception>
    public static PagedLayout Read(OnnxModel model, TextModelSettings settings)
    {
        var names = settings.Names;
        if (model.Input(DecoderNames.Of(names.PastKey, 0)) is null
            && model.Input(DecoderNames.Of(DecoderNames.PagedKey, 0)) is not null)
            names = names with { PastKey = DecoderNames.PagedKey, PastValue = DecoderNames.PagedValue };
        // The operator calls its input so, and models that are made by hand too.
        var lengths = model.Input(names.SequenceLengths) is null && names.SequenceLengths.EndsWith('s')
            && model.Input(names.SequenceLengths[..^1]) is not null
            ? names.SequenceLengths[..^1]
            : names.SequenceLengths;
        var cache = ReadCache(model, names);
        string[] known = [names.Ids, lengths, names.PastLengths, names.BlockTable, .. cache.Select(c => c.Past)];
        if (known.FirstOrDefault(n => model.Input(n) is null) is { } missing)
            throw new NotSupportedException($"text generation with PagedAttention needs input '{missing}'");
        if (model.InputNames.Except([.. known, names.AttentionBounds]).FirstOrDefault() is { } unknown)
            throw new NotSupportedException($"text generation does not know what to give to input '{unknown}'");
        if (model.Output(names.Logits) is not { } logits)
            throw new NotSupportedException($"text generation needs output '{names.Logits}'");
        var ids = Check(model, names.Ids, rank: 1, WholeNumbers);
        foreach (var name in new[] { lengths, names.PastLengths }) Check(model, name, rank: 1, "INT32");
        Check(model, names.BlockTable, rank: 2, "INT32");
        var bounds = model.Input(names.AttentionBounds) is null
            ? 0
            : (int)Math.Max(2, Check(model, names.AttentionBounds, rank: 1, "INT32").Shape[0]);
        var vocabulary = logits.Shape is [_, > 0] ? (int)logits.Shape[1] : settings.Vocabulary;
        if (logits.Type.Name is not ("FP32" or "FP16") || logits.Shape.Length != 2 || vocabulary <= 0)
            throw new NotSupportedException($"output '{names.Logits}' is {logits.Type.Name} {logits.ShapeText}; "
                + "expected FP32 or FP16 with the shape [tokens, vocabulary]");
        return new PagedLayout(names, lengths, cache, ids, bounds, logits, vocabulary);
    }

    /// <summary>Returns the block size that the model's inputs have, or 0 if any size is possible.</summary>
    public static int FixedBlockSize(OnnxModel model, PagedLayout layout) =>
        (int)Math.Max(0, model.Input(layout.Cache[0].Past)!.Shape[1]);

    private static List<KvTensor> ReadCache(OnnxModel model, DecoderNames names)
    {
        var layers = Enumerable.Range(0, model.Inputs.Count)
            .TakeWhile(i => model.Input(DecoderNames.Of(names.PastKey, i)) is not null).ToList();
        if (layers.Count == 0)
            throw new NotSupportedException(
                $"text generation with PagedAttention needs input '{DecoderNames.Of(names.PastKey, 0)}'");
        return
        [
            .. layers.Select(i => Tensor(model, names.PastKey, names.PresentKey, i)),
            .. layers.Select(i => Tensor(model, names.PastValue, names.PresentValue, i)),
        ];
    }

    private static KvTensor Tensor(OnnxModel model, string past, string present, int layer)
    {
        var (input, output) = (DecoderNames.Of(past, layer), DecoderNames.Of(present, layer));
        if (model.Input(input) is not { } spec)
            throw new NotSupportedException($"text generation with PagedAttention needs input '{input}'");
        if (model.Output(output) is null)
            throw new NotSupportedException($"text generation needs output '{output}'");
        return spec.Shape is [_, _, > 0, > 0] && spec.Type.Size > 0
            ? new KvTensor(input, output, spec.Shape[2], spec.Shape[3], spec.Type)
            : throw new NotSupportedException($"input '{input}' is {spec.Type.Name} {spec.ShapeText}; "
                + "expected numbers with the shape [blocks, block size, heads, width]");
    }

    private static TensorSpec Check(OnnxModel model, string name, int rank, params string[] types)
    {
        var input = model.Input(name)!;
        return input.Shape.Length == rank && types.Contains(input.Type.Name)
            ? input
            : throw new NotSupportedException($"input '{name}' is {input.Type.Name} {input.ShapeText}; "
                + $"expected {string.Join(" or ", types)} with {rank} dimensions");
    }
}
