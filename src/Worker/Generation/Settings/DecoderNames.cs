namespace Sluice.Worker.Generation.Settings;

/// <summary>
/// Names of the inputs and outputs of a decoder. The defaults are those that the model builder of ONNX Runtime GenAI
/// and Optimum write. <c>%d</c> stands for the number of a layer.
/// </summary>
/// <param name="Ids">Input: the tokens.</param>
/// <param name="Mask">Input: 1 for each token that is attended.</param>
/// <param name="Positions">Input: positions of the tokens.</param>
/// <param name="PastKey">Inputs: keys of the tokens that were read before.</param>
/// <param name="PastValue">Inputs: values of the tokens that were read before.</param>
/// <param name="SequenceLengths">Input of a paged model: where the tokens of each sequence begin, and the end.</param>
/// <param name="PastLengths">Input of a paged model: number of tokens of each sequence that were read.</param>
/// <param name="BlockTable">Input of a paged model: numbers of the blocks of each sequence.</param>
/// <param name="AttentionBounds">Input of a paged model: bounds of the lengths, for the choice of a kernel.</param>
/// <param name="Logits">Output: the logits.</param>
/// <param name="PresentKey">Outputs: keys of all tokens.</param>
/// <param name="PresentValue">Outputs: values of all tokens.</param>
internal sealed record DecoderNames(
    string Ids = "input_ids",
    string Mask = "attention_mask",
    string Positions = "position_ids",
    string PastKey = "past_key_values.%d.key",
    string PastValue = "past_key_values.%d.value",
    string SequenceLengths = "cumulative_sequence_lengths",
    string PastLengths = "past_sequence_lengths",
    string BlockTable = "block_table",
    string AttentionBounds = "attention_metadata",
    string Logits = "logits",
    string PresentKey = "present.%d.key",
    string PresentValue = "present.%d.value")
{
    /// <summary>
    /// Input of models that transformers.js publishes: the number of last tokens whose logits are returned.
    /// </summary>
    public const string LogitsToKeep = "num_logits_to_keep";

    /// <summary>
    /// Input of merged decoders of Optimum: whether there is a past. They have two branches, with and without one.
    /// </summary>
    public const string CacheBranch = "use_cache_branch";

    /// <summary>Input for the vectors of the tokens, which another model computes.</summary>
    public const string Embeddings = "inputs_embeds";

    /// <summary>Names of the cache in models that are named after the operator PagedAttention.</summary>
    public const string PagedKey = "key_cache.%d", PagedValue = "value_cache.%d";

    /// <summary>Returns the name of a layer's tensor.</summary>
    public static string Of(string pattern, int layer) =>
        pattern.Replace("%d", layer.ToString(System.Globalization.CultureInfo.InvariantCulture),
            StringComparison.Ordinal);
}
