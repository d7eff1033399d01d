using Sluice.Worker.Tensors;

namespace Sluice.Worker.Generation.Decoding;

/// <summary>The keys, or the values, of one layer of a decoder.</summary>
/// <param name="Past">The model's input.</param>
/// <param name="Present">The model's output, which the attention writes in place.</param>
/// <param name="Heads">Number of heads.</param>
/// <param name="Width">Size of a head.</param>
/// <param name="Type">Element type.</param>
internal sealed record KvTensor(string Past, string Present, long Heads, long Width, DataType Type)
{
    /// <summary>Bytes of one token of one head.</summary>
    public long CellBytes => Width * Type.Size;

    /// <summary>Bytes of one token.</summary>
    public long TokenBytes => Heads * CellBytes;
}
