using System.Text;

namespace Sluice.Worker.Providers;

/// <summary>
/// Reads a model's inputs from its file without a session, because the session's options depend on them. Parses the
/// protobuf (github.com/onnx/onnx/blob/main/onnx/onnx.proto) and skips everything else, in particular weights.
/// </summary>
public static class OnnxInputs
{
    private const int Graph = 7, GraphInitializer = 5, GraphInput = 11, InitializerName = 8;

    /// <summary>Returns the inputs of a model file.</summary>
    /// <exception cref="InvalidOperationException">The file is truncated or not a protobuf message.</exception>
    public static IReadOnlyList<ModelInput> Read(string path)
    {
        using var file = File.OpenRead(path);
        try
        {
            var inputs = new List<ModelInput>();
            var weights = new HashSet<string>(StringComparer.Ordinal);
            foreach (var field in Fields(file, file.Length))
                if (field.Number == Graph)
                    foreach (var part in Fields(file, field.End))
                    {
                        if (part.Number == GraphInput) inputs.Add(Input(file, part.End));
                        if (part.Number == GraphInitializer) weights.Add(Named(file, part.End, InitializerName));
                    }

            // Before IR version 4 every weight was also listed as an input.
            return [.. inputs.Where(i => !weights.Contains(i.Name))];
        }
        catch (InvalidDataException e)
        {
            throw new InvalidOperationException($"{path} is not an ONNX model: {e.Message}", e);
        }
    }

    private static ModelInput Input(Stream file, long end)
    {
        var name = "";
        var dimensions = new List<long>();
        foreach (var field in Fields(file, end))
        {
            if (field.Number == 1) name = Text(file, field.End);
            if (field.Number != 2) continue;
            foreach (var tensor in Fields(file, field.End).Where(f => f.Number == 1))
                foreach (var shape in Fields(file, tensor.End).Where(f => f.Number == 2))
                    foreach (var dimension in Fields(file, shape.End).Where(f => f.Number == 1))
                        dimensions.Add(Dimension(file, dimension.End));
        }

        return new ModelInput(name, dimensions);
    }

    private static long Dimension(Stream file, long end)
    {
        var value = -1L;
        foreach (var field in Fields(file, end))
            if (field.Number == 1) value = field.Value;
        return value;
    }

    private static string Named(Stream file, long end, int number)
    {
        var name = "";
        foreach (var field in Fields(file, end))
            if (field.Number == number) name = Text(file, field.End);
        return name;
    }

    private static string Text(Stream file, long end)
    {
        var bytes = new byte[end - file.Position];
        file.ReadExactly(bytes);
        return Encoding.UTF8.GetString(bytes);
    }

    /// <summary>
    /// Returns the fields up to <paramref name="end"/>. After each field, the stream moves to the field's end.
    /// </summary>
    private static IEnumerable<(int Number, long Value, long End)> Fields(Stream file, long end)
    {
        while (file.Position < end)
        {
            var tag = Varint(file);
            var number = (int)(tag >> 3);
            var value = 0L;
            var after = (tag & 7) switch
            {
                0 => -1,
                1 => file.Position + 8,
                2 => Varint(file) is var length and >= 0 ? file.Position + length : long.MaxValue,
                5 => file.Position + 4,
                var wire => throw new InvalidDataException($"wire type {wire} at byte {file.Position}"),
            };
            if (after == -1)
            {
                value = Varint(file);
                after = file.Position;
            }

            if (number == 0 || after < 0 || after > end)
                throw new InvalidDataException($"field {number} ends beyond its parent");
            yield return (number, value, after);
            file.Position = after;
        }
    }

    private static long Varint(Stream file)
    {
        ulong value = 0;
        for (var shift = 0; shift < 64; shift += 7)
        {
            var next = file.ReadByte();
            if (next < 0) throw new InvalidDataException("it ends within a number");
            value |= (ulong)(next & 0x7f) << shift;
            if (next < 0x80) return (long)value;
        }

        throw new InvalidDataException($"a number longer than 64 bits at byte {file.Position}");
    }
}
