namespace Sluice.Testing.Llama;

/// <summary>Random weights of a decoder: the same numbers for each file format.</summary>
/// <param name="shape">The dimensions.</param>
public sealed class LlamaWeights(LlamaShape shape)
{
    public LlamaShape Shape => shape;

    /// <summary>Returns a tensor, row by row: [outputs, inputs].</summary>
    public float[] Get(string name)
    {
        var (_, rows, columns) = shape.Tensors.First(t => t.Name == name);
        var values = new float[rows * columns];
        if (rows == 1)
        {
            Array.Fill(values, 1f);
            return values;
        }

        // The order of the tensors is the seed.
        var random = new Random(shape.Tensors.TakeWhile(t => t.Name != name).Count() + 1);
        // A uniform distribution with the variance 1 / inputs keeps the size of the hidden state.
        var range = name == "model.embed_tokens" ? 1 : MathF.Sqrt(3f / columns);
        for (var i = 0; i < values.Length; i++) values[i] = ((2 * random.NextSingle()) - 1) * range;
        return values;
    }
}
