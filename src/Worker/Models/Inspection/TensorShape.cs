using Sluice.Worker.Tensors;

namespace Sluice.Worker.Models.Inspection;

/// <summary>Reads the repeated field <c>dims</c>, packed or not.</summary>
internal sealed class TensorShape(ProtoReader reader)
{
    /// <summary>Largest rank. Models use up to about 8 dimensions; ONNX itself sets no limit.</summary>
    private const int MaxRank = 64;

    private readonly List<long> dims = [];

    /// <summary>Reads one field of the dimensions.</summary>
    public void Add(ProtoField field)
    {
        if (field.Wire == WireType.Length)
            while (reader.Position < field.End) Add(reader.Packed(field));
        else
            Add(reader.Number(field));
    }

    /// <summary>
    /// Returns the product of the dimensions. Throws if one is negative or if the product of those above zero exceeds
    /// 63 bits. A zero would otherwise hide a product that another reader forms in another order.
    /// </summary>
    public long Elements(string tensor)
    {
        Int128 product = 1;
        var empty = false;
        foreach (var dim in dims)
        {
            if (dim < 0) throw reader.Refuse($"tensor '{tensor}' has dimension {dim}", "0 and above");
            if (dim == 0) empty = true;
            else product *= dim;
            if (product > long.MaxValue)
                throw reader.Refuse(
                    $"tensor '{tensor}' has shape {TensorSpec.Text(dims)}, a product above 63 bits",
                    "less");
        }

        return empty ? 0 : (long)product;
    }

    private void Add(long dim)
    {
        if (dims.Count == MaxRank)
            throw reader.Refuse($"a tensor at byte {reader.Position} has more than {MaxRank} dimensions", $"{MaxRank}");
        dims.Add(dim);
    }
}
