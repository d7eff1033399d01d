using Sluice.Worker.Configuration;

namespace Sluice.Worker.Models.Inspection;

/// <summary>
/// Checks that the shape, the type and the data of each tensor match, and that external data belongs to the model.
/// Without this check, a tensor of a few bytes could make ONNX Runtime allocate terabytes. Counts tensors and bytes.
/// </summary>
internal sealed class TensorCheck(ProtoReader reader, ModelLimits limits, ExternalData external)
{
    private readonly Dictionary<string, long> bytesByType = [];

    public long Tensors { get; private set; }

    /// <summary>Bytes of all tensors so far. Sparse tensors count with their dense size.</summary>
    public long TotalBytes { get; private set; }

    public IReadOnlyDictionary<string, long> BytesByType => bytesByType;

    private string MaxBytes => $"{limits.MaxModelBytes} bytes (SLUICE_MAX_MODEL_BYTES)";

    /// <summary>Reads and checks the TensorProto up to <paramref name="end"/>.</summary>
    public void Tensor(long end)
    {
        var (name, type, bytes) = One(end);
        Count(name, type, bytes);
    }

    /// <summary>
    /// Reads and checks the SparseTensorProto up to <paramref name="end"/>. Its dense size counts, because ONNX Runtime
    /// converts it to a dense tensor.
    /// </summary>
    public void Sparse(long end)
    {
        var once = new SingularFieldCheck();
        var shape = new TensorShape(reader);
        ElementType? type = null;
        while (reader.Next(end, out var field))
            switch (field.Number)
            {
                case 1: // values
                    once.Check(reader, field);
                    reader.Expect(field, WireType.Length);
                    type = One(field.End).Type;
                    break;
                case 2: // indices
                    once.Check(reader, field);
                    reader.Expect(field, WireType.Length);
                    One(field.End);
                    break;
                case 3:
                    shape.Add(field);
                    break;
                default:
                    reader.Skip(field);
                    break;
            }

        if (type is null)
            throw reader.Refuse($"a sparse tensor without values ends at byte {end}", "values and indices");
        var name = $"sparse, ending at byte {end}";
        Count(name, type, Bytes(name, type, shape.Elements(name)));
    }

    private (string Name, ElementType Type, long Bytes) One(long end)
    {
        var parts = TensorParts.Read(reader, end);
        var type = ElementType.FromNumber(parts.Type)
            ?? throw reader.Refuse($"tensor '{parts.Name}' has element type {parts.Type}", "1 to 26");
        var elements = parts.Shape.Elements(parts.Name);
        var bytes = Bytes(parts.Name, type, elements);
        if (parts.IsExternal || parts.External.Count > 0)
        {
            // The entries are checked even if data_location is not EXTERNAL, in case a later reader uses them.
            if (type.Number == ElementType.String)
                throw reader.Refuse($"tensor '{parts.Name}' has external strings", "strings within the model");
            if (parts.RawBytes > 0 || parts.Entries.Values.Any(n => n > 0))
                throw reader.Refuse($"tensor '{parts.Name}' has both external data and its own", "one of them");
            external.Check(parts.Name, parts.External, bytes);
        }
        else if (parts.RawBytes is { } raw)
        {
            if (type.Number == ElementType.String || raw != bytes)
                throw reader.Refuse(
                    $"tensor '{parts.Name}' ({elements} of {type.Name}) has {raw} bytes of raw_data",
                    $"{bytes}");
        }
        else if (parts.Entries.GetValueOrDefault(type.Field) is var entries && entries != type.Entries(elements))
        {
            throw reader.Refuse(
                $"tensor '{parts.Name}' ({elements} of {type.Name}) has {entries} numbers",
                $"{type.Entries(elements)}");
        }

        return (parts.Name, type, bytes);
    }

    private long Bytes(string name, ElementType type, long elements)
    {
        // A string takes at least an empty std::string, 32 bytes in libstdc++.
        var bytes = type.Number == ElementType.String ? (UInt128)elements * 32 : type.Bytes(elements);
        return bytes <= (UInt128)limits.MaxModelBytes ? (long)bytes
            : throw reader.Refuse($"tensor '{name}' declares {elements} elements of {type.Name}", MaxBytes);
    }

    private void Count(string name, ElementType type, long bytes)
    {
        if (++Tensors > limits.MaxTensors)
            throw reader.Refuse($"more than {limits.MaxTensors} tensors", $"{limits.MaxTensors}");
        if (bytes > limits.MaxModelBytes - TotalBytes)
            throw reader.Refuse(
                $"its tensors, up to '{name}', declare {(UInt128)TotalBytes + (ulong)bytes} bytes",
                MaxBytes);
        TotalBytes += bytes;
        bytesByType[type.Name] = bytesByType.GetValueOrDefault(type.Name) + bytes;
    }
}
