using Sluice.Worker.Generation.Settings;
using Sluice.Worker.Models;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Generation.Decoding;

/// <summary>
/// The inputs and outputs of a decoder: ids, mask, optionally positions and the number of logits to return, and for
/// each layer the keys and values of the past and the present; output logits. The names are those of
/// <see cref="DecoderNames"/>.
/// </summary>
internal sealed class DecoderLayout
{
    private DecoderLayout(
        DecoderNames names,
        IReadOnlyList<KvTensor> cache,
        IReadOnlyList<string> embedded,
        int positionRows,
        bool hasCacheBranch,
        long[]? logitsToKeepShape,
        TensorSpec logits,
        int vocabulary)
    {
        Cache = cache;
        Embedded = embedded;
        PositionRows = positionRows;
        HasCacheBranch = hasCacheBranch;
        LogitsToKeepShape = logitsToKeepShape;
        Vocabulary = vocabulary;
        Logits = logits.Type;
        OnlyLastLogits = logitsToKeepShape is not null || logits.Shape[1] == 1;
        InputNames =
        [
            .. embedded.Count > 0 ? embedded : [names.Ids], names.Mask,
            .. positionRows > 0 ? [names.Positions] : Array.Empty<string>(),
            .. hasCacheBranch ? [DecoderNames.CacheBranch] : Array.Empty<string>(),
            .. logitsToKeepShape is not null ? [DecoderNames.LogitsToKeep] : Array.Empty<string>(),
            .. cache.Select(c => c.Past),
        ];
        OutputNames = [names.Logits, .. cache.Select(c => c.Present)];
    }

    /// <summary>The key/value tensors of all layers.</summary>
    public IReadOnlyList<KvTensor> Cache { get; }

    /// <summary>
    /// Inputs that the embedding model computes from the tokens. Empty: the model has an input for the tokens.
    /// </summary>
    public IReadOnlyList<string> Embedded { get; }

    /// <summary>Whether the model has an input for positions.</summary>
    public bool HasPositions => PositionRows > 0;

    /// <summary>
    /// Number of positions of each token. Models for images and text have several (time, height and width), which are
    /// equal for text. 0: the model has no input for positions.
    /// </summary>
    public int PositionRows { get; }

    /// <summary>Whether the model has an input that says whether there is a past.</summary>
    public bool HasCacheBranch { get; }

    /// <summary>Shape of the input for the number of logits to return. Null: the model has no such input.</summary>
    public long[]? LogitsToKeepShape { get; }

    /// <summary>Whether a run returns only the logits after the last token.</summary>
    public bool OnlyLastLogits { get; }

    /// <summary>Number of values of the logits, at least the number of tokens in the vocabulary.</summary>
    public int Vocabulary { get; }

    /// <summary>Element type of the logits.</summary>
    public DataType Logits { get; }

    /// <summary>Bytes that one token takes in the cache, in all layers.</summary>
    public long TokenBytes => Cache.Sum(c => c.TokenBytes);

    /// <summary>Inputs of a run: ids, mask, positions and number of logits if there are any, and the cache.</summary>
    public string[] InputNames { get; }

    /// <summary>Outputs of a run: logits and the cache.</summary>
    public string[] OutputNames { get; }

    /// <summary>Reads the layout of a model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="settings">Names of the tensors, and the vocabulary if the model does not state it.</param>
    /// <param name="embeddings">Outputs of the embedding model beside the model.</param>
    /// <exception cref="NotSupportedException">
    /// An input or output is missing, or has a shape or type that is not supported; the message names it.
    /// </exception>
    public static DecoderLayout Read(
        OnnxModel model,
        TextModelSettings settings,
        IReadOnlyList<string> embeddings)
    {
        var names = settings.Names;
        string[] embedded = model.Input(names.Ids) is null && model.Input(DecoderNames.Embeddings) is not null
            ? [.. embeddings.Where(e => model.Input(e) is not null)]
            : [];
        if (embedded.Length == 0 && model.Input(DecoderNames.Embeddings) is not null)
            throw new NotSupportedException($"input '{DecoderNames.Embeddings}' needs a model that computes it from "
                + "tokens, embed_tokens.onnx in the folder of the model");
        var layers = Enumerable.Range(0, model.Inputs.Count)
            .TakeWhile(i => model.Input(DecoderNames.Of(names.PastKey, i)) is not null).ToList();
        var cache = layers
            .Select(i => (Past: DecoderNames.Of(names.PastKey, i), Present: DecoderNames.Of(names.PresentKey, i)))
            .Concat(layers.Select(i => (
                Past: DecoderNames.Of(names.PastValue, i), Present: DecoderNames.Of(names.PresentValue, i))))
            .ToList();
        Require(model, [.. embedded.Length > 0 ? embedded : [names.Ids], names.Mask, .. cache.Select(c => c.Past)],
            [names.Logits, .. cache.Select(c => c.Present)]);
        if (cache.Count == 0)
            throw new NotSupportedException(
                $"text generation needs input '{DecoderNames.Of(names.PastKey, 0)}'; "
                + $"the model has {string.Join(", ", model.InputNames.Select(n => $"'{n}'"))}");
        string[] known =
        [
            names.Ids, names.Mask, names.Positions, DecoderNames.LogitsToKeep, DecoderNames.CacheBranch, .. embedded,
            .. cache.Select(c => c.Past),
        ];
        if (model.InputNames.Except(known).FirstOrDefault() is { } unknown)
            throw new NotSupportedException($"text generation does not know what to give to input '{unknown}'");
        CheckInputs(model, names);
        var logits = model.Output(names.Logits)!;
        var vocabulary = logits.Shape is [_, _, > 0] ? (int)logits.Shape[2] : settings.Vocabulary;
        if (logits.Type.Name is not ("FP32" or "FP16") || logits.Shape.Length != 3 || vocabulary <= 0)
            throw new NotSupportedException($"output '{names.Logits}' is {logits.Type.Name} {logits.ShapeText}; "
                + "expected FP32 or FP16 with the shape [batch, tokens, vocabulary]");
        return new DecoderLayout(names, [.. cache.Select(c => Tensor(model.Input(c.Past)!, c.Present))],
            embedded, PositionRowsOf(model.Input(names.Positions)),
            model.Input(DecoderNames.CacheBranch) is not null, ShapeOfOne(model.Input(DecoderNames.LogitsToKeep)),
            logits, vocabulary);
    }

    private static void CheckInputs(OnnxModel model, DecoderNames names)
    {
        foreach (var name in new[] { names.Ids, names.Mask, names.Positions, DecoderNames.LogitsToKeep })
            if (model.Input(name) is { } input && input.Type.Name != "INT64")
                throw new NotSupportedException($"input '{name}' is {input.Type.Name}; expected INT64");
        foreach (var name in new[] { names.Ids, names.Mask })
            if (model.Input(name) is { Shape.Length: not 2 } input)
                throw new NotSupportedException(
                    $"input '{name}' has the shape {input.ShapeText}; expected [batch, tokens]");
        if (model.Input(names.Positions) is { Shape.Length: not (2 or 3) } positions)
            throw new NotSupportedException($"input '{names.Positions}' has the shape {positions.ShapeText}; "
                + "expected [batch, tokens] or [3, batch, tokens]");
        if (model.Input(DecoderNames.CacheBranch) is { } branch && branch.Type.Name != "BOOL")
            throw new NotSupportedException(
                $"input '{DecoderNames.CacheBranch}' is {branch.Type.Name}; expected BOOL");
    }

    private static int PositionRowsOf(TensorSpec? positions) => positions switch
    {
        null => 0,
        { Shape: [> 0 and var rows, _, _] } => (int)rows,
        { Shape.Length: 3 } => 3,
        _ => 1,
    };

    private static void Require(OnnxModel model, string[] inputs, string[] outputs)
    {
        var missing = inputs.Where(n => model.Input(n) is null).Select(n => $"input '{n}'")
            .Concat(outputs.Where(n => model.Output(n) is null).Select(n => $"output '{n}'")).ToList();
        if (missing.Count > 0)
            throw new NotSupportedException($"text generation needs {string.Join(", ", missing)}");
    }

    private static long[]? ShapeOfOne(TensorSpec? input) => input?.Shape.Select(_ => 1L).ToArray();

    private static KvTensor Tensor(TensorSpec past, string present) =>
        past.Shape is [_, > 0, _, > 0] && past.Type.Size > 0
            ? new KvTensor(past.Name, present, past.Shape[1], past.Shape[3], past.Type)
            : throw new NotSupportedException($"input '{past.Name}' is {past.Type.Name} {past.ShapeText}; "
                + "expected numbers with the shape [batch, heads, tokens, width]");
}
