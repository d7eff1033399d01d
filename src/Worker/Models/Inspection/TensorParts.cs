namespace Sluice.Worker.Models.Inspection;

/// <summary>The parts of a TensorProto. Its data is counted and not kept.</summary>
internal sealed class TensorParts
{
    private const int MaxText = 4096, MaxExternalEntries = 8;

    private TensorParts(ProtoReader reader) => Shape = new TensorShape(reader);

    public TensorShape Shape { get; }

    /// <summary>Name for messages: the tensor's name, or its position in the file.</summary>
    public string Name { get; private set; } = "";

    /// <summary>Number of the element type. 0 if the file does not contain it.</summary>
    public long Type { get; private set; }

    /// <summary>Bytes of raw_data. Null if there is none.</summary>
    public long? RawBytes { get; private set; }

    /// <summary>Number of entries of the typed data, by field number.</summary>
    public Dictionary<int, long> Entries { get; } = [];

    /// <summary>Keys and values of external_data.</summary>
    public Dictionary<string, string> External { get; } = [];

    /// <summary>True if data_location is EXTERNAL.</summary>
    public bool IsExternal { get; private set; }

    public static TensorParts Read(ProtoReader reader, long end)
    {
        var parts = new TensorParts(reader) { Name = $"ending at byte {end}" };
        var once = new SingularFieldCheck();
        while (reader.Next(end, out var field))
        {
            if (field.Number is 2 or 8 or 9 or 14) once.Check(reader, field);
            parts.ReadField(reader, field);
        }

        return parts;
    }

    private void ReadField(ProtoReader reader, ProtoField field)
    {
        switch (field.Number)
        {
            case 1:
                Shape.Add(field);
                break;
            case 2:
                Type = reader.Number(field);
                break;
            case ElementType.FloatData:
                Count(field, FixedEntries(reader, field, WireType.Fixed32, 4));
                break;
            case ElementType.DoubleData:
                Count(field, FixedEntries(reader, field, WireType.Fixed64, 8));
                break;
            case ElementType.Int32Data or ElementType.Int64Data or ElementType.UInt64Data:
                Count(field, field.Wire == WireType.Varint ? 1 : reader.CountVarints(field));
                break;
            case ElementType.StringData:
                reader.Expect(field, WireType.Length);
                Count(field, 1);
                break;
            case 8:
                reader.Expect(field, WireType.Length);
                if (field.Value > 0) Name = reader.Peek(reader.Position, field.Value);
                break;
            case 9:
                reader.Expect(field, WireType.Length);
                RawBytes = field.Value;
                break;
            case 13:
                reader.Expect(field, WireType.Length);
                Entry(reader, field.End);
                break;
            case 14:
                // Converted to a C++ enum, 0x1_0000_0001 would be EXTERNAL.
                IsExternal = reader.Number(field) switch
                {
                    0 => false,
                    1 => true,
                    var other => throw reader.Refuse($"tensor '{Name}' has data_location {other}", "0, 1"),
                };
                break;
        }

        reader.Skip(field);
    }

    private static long FixedEntries(ProtoReader reader, ProtoField field, WireType wire, int size)
    {
        if (field.Wire == wire) return 1;
        reader.Expect(field, WireType.Length);
        return field.Value % size == 0 ? field.Value / size
            : throw reader.Refuse(
                $"packed field {field.Number} at byte {reader.Position} has {field.Value} bytes",
                $"a multiple of {size}");
    }

    private void Count(ProtoField field, long entries) =>
        Entries[field.Number] = Entries.GetValueOrDefault(field.Number) + entries;

    private void Entry(ProtoReader reader, long end)
    {
        string key = "", value = "";
        var once = new SingularFieldCheck();
        while (reader.Next(end, out var field))
        {
            if (field.Number is 1 or 2) once.Check(reader, field);
            if (field.Number == 1) key = reader.Text(field, MaxText);
            else if (field.Number == 2) value = reader.Text(field, MaxText);
            else reader.Skip(field);
        }

        if (External.Count == MaxExternalEntries || !External.TryAdd(key, value))
            throw reader.Refuse(
                $"tensor '{Name}' has external_data '{ProtoReader.Printable(key)}' twice or too many entries",
                $"{MaxExternalEntries} keys, each once");
    }
}
