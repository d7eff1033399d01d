using System.Text.RegularExpressions;
using Sluice.Worker.Models;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Generation.Decoding;

/// <summary>
/// The inputs and outputs of a decoder, with the names that the model builder of ONNX Runtime GenAI and Optimum write:
/// <c>input_ids</c>, <c>attention_mask</c>, optionally <c>position_ids</c>, and for each layer
/// <c>past_key_values.N.key</c> and <c>.value</c> with <c>present.N.key</c> and <c>.value</c>; output <c>logits</c>.
/// </summary>
internal sealed partial class DecoderLayout
{
    private const string Ids = "input_ids", Mask = "attention_mask", Positions = "position_ids", LogitsName = "logits";

    private DecoderLayout(IReadOnlyList<KvTensor> cache, bool hasPositions, int vocabulary, DataType logits)
    {
        Cache = cache;
        HasPositions = hasPositions;
        Vocabulary = vocabulary;
        Logits = logits;
        InputNames = [Ids, Mask, .. hasPositions ? [Positions] : Array.Empty<string>(), .. cache.Select(c => c.Past)];
        OutputNames = [LogitsName, .. cache.Select(c => c.Present)];
    }

    /// <summary>The key/value tensors of all layers.</summary>
    public IReadOnlyList<KvTensor> Cache { get; }

    /// <summary>Whether the model has the input <c>position_ids</c>.</summary>
    public bool HasPositions { get; }

    /// <summary>Number of tokens in the vocabulary.</summary>
    public int Vocabulary { get; }

    /// <summary>Element type of the logits.</summary>
    public DataType Logits { get; }

    /// <summary>Bytes that one token takes in the cache, in all layers.</summary>
    public long TokenBytes => Cache.Sum(c => c.TokenBytes);

    /// <summary>Inputs of a run: ids, mask, positions if there are any, and the cache.</summary>
    public string[] InputNames { get; }

    /// <summary>Outputs of a run: logits and the cache.</summary>
    public string[] OutputNames { get; }

    /// <summary>Reads the layout of a model.</summary>
    /// <exception cref="NotSupportedException">
    /// An input or output is missing, or has a shape or type that is not supported; the message names it.
    /// </exception>
    public static DecoderLayout Read(OnnxModel model)
    {
        var past = model.Inputs.Where(i => PastName().IsMatch(i.Name)).ToList();
        var missing = new[] { Ids, Mask }.Where(n => model.Input(n) is null)
            .Concat(past.Select(i => PresentOf(i.Name)).Append(LogitsName).Where(n => model.Output(n) is null))
            .ToList();
        if (missing.Count > 0 || past.Count == 0)
            throw new NotSupportedException(
                $"text generation needs {string.Join(", ", missing.DefaultIfEmpty("past_key_values.*"))}");
        string[] known = [Ids, Mask, Positions, .. past.Select(i => i.Name)];
        if (model.InputNames.Except(known).FirstOrDefault() is { } unknown)
            throw new NotSupportedException($"text generation does not know what to give to input '{unknown}'");
        foreach (var name in new[] { Ids, Mask, Positions })
            if (model.Input(name) is { } input && input.Type.Name != "INT64")
                throw new NotSupportedException($"input '{name}' is {input.Type.Name}; expected INT64");
        var logits = model.Output(LogitsName)!;
        if (logits.Type.Name is not ("FP32" or "FP16") || logits.Shape is not [_, _, > 0])
            throw new NotSupportedException($"output 'logits' is {logits.Type.Name} {logits.ShapeText}; "
                + "expected FP32 or FP16 with the shape [batch, tokens, vocabulary]");
        return new DecoderLayout([.. past.Select(Tensor)], model.Input(Positions) is not null, (int)logits.Shape[2],
            logits.Type);
    }

    private static KvTensor Tensor(TensorSpec past) => past.Shape is [_, > 0, _, > 0] && past.Type.Size > 0
        ? new KvTensor(past.Name, PresentOf(past.Name), past.Shape[1], past.Shape[3], past.Type)
        : throw new NotSupportedException($"input '{past.Name}' is {past.Type.Name} {past.ShapeText}; "
            + "expected numbers with the shape [batch, heads, tokens, width]");

    private static string PresentOf(string past) =>
        past.Replace("past_key_values", "present", StringComparison.Ordinal);

    [GeneratedRegex(@"^past_key_values\.\d+\.(key|value)\z")]
    private static partial Regex PastName();
}
