namespace Sluice.Testing.Llama;

/// <summary>The dimensions of a decoder with Llama's architecture.</summary>
/// <param name="Layers">Number of layers.</param>
/// <param name="Width">Size of the hidden state.</param>
/// <param name="Heads">Number of query heads.</param>
/// <param name="KvHeads">Number of key and value heads.</param>
/// <param name="Hidden">Inner size of the feed-forward network.</param>
/// <param name="Vocabulary">Number of tokens.</param>
/// <param name="Context">Maximum number of tokens of a sequence.</param>
public sealed record LlamaShape(
    int Layers,
    int Width,
    int Heads,
    int KvHeads,
    int Hidden,
    int Vocabulary,
    int Context)
{
    public const float Epsilon = 1e-5f, RopeBase = 10_000;

    /// <summary>A model of 125 million parameters.</summary>
    public static readonly LlamaShape Small = new(12, 768, 12, 4, 2048, 32_000, 4096);

    /// <summary>Size of a head.</summary>
    public int Head => Width / Heads;

    /// <summary>Number of weights.</summary>
    public long Parameters => Tensors.Sum(t => (long)t.Rows * t.Columns);

    /// <summary>
    /// All weights with their names in Hugging Face's files. A matrix has the shape [outputs, inputs], a vector has
    /// one row.
    /// </summary>
    public IEnumerable<(string Name, int Rows, int Columns)> Tensors
    {
        get
        {
            yield return ("model.embed_tokens", Vocabulary, Width);
            for (var i = 0; i < Layers; i++)
                foreach (var (name, rows, columns) in LayerTensors())
                    yield return ($"model.layers.{i}.{name}", rows, columns);
            yield return ("model.norm", 1, Width);
            yield return ("lm_head", Vocabulary, Width);
        }
    }

    private (string Name, int Rows, int Columns)[] LayerTensors() =>
    [
        ("input_layernorm", 1, Width),
        ("self_attn.q_proj", Heads * Head, Width),
        ("self_attn.k_proj", KvHeads * Head, Width),
        ("self_attn.v_proj", KvHeads * Head, Width),
        ("self_attn.o_proj", Width, Heads * Head),
        ("post_attention_layernorm", 1, Width),
        ("mlp.gate_proj", Hidden, Width),
        ("mlp.up_proj", Hidden, Width),
        ("mlp.down_proj", Width, Hidden),
    ];
}
