namespace Sluice.Worker.Models;

/// <summary>
/// The <c>config.pbtxt</c> of a model, in the model's folder as in Triton. It declares the <c>format</c> of inputs: an ONNX file does not have it, and image
/// clients require it. Its other fields have no effect, because the model itself and the worker's settings decide them.
/// </summary>
/// <param name="Formats">By input, <c>FORMAT_NONE</c> where nothing is declared.</param>
/// <param name="Ignored">Fields of the file that have no effect.</param>
public sealed record ModelConfigFile(IReadOnlyDictionary<string, string> Formats, IReadOnlyList<string> Ignored)
{
    public const string NoFormat = "FORMAT_NONE";

    private const string FileName = "config.pbtxt";

    /// <summary>Configurations are small.</summary>
    private const int MaxBytes = 1 << 20;

    /// <summary>ModelInput.Format of Triton's model_config.proto.</summary>
    private static readonly string[] Known = [NoFormat, "FORMAT_NHWC", "FORMAT_NCHW"];

    private static readonly ModelConfigFile None = new(new Dictionary<string, string>(), []);

    /// <summary>Reads it; throws <see cref="InvalidDataException"/> with line, value and what would be right.</summary>
    /// <param name="modelPath">The version's model.onnx.</param>
    /// <param name="inputs">The model's inputs.</param>
    public static ModelConfigFile Read(string modelPath, IReadOnlyList<TensorSpec> inputs)
    {
        var path = Path.Combine(Path.GetDirectoryName(Path.GetDirectoryName(modelPath))!, FileName);
        if (!File.Exists(path)) return None;
        if (new FileInfo(path).Length is var length and > MaxBytes)
            throw new InvalidDataException($"{FileName} has {length} bytes, expected at most {MaxBytes}");
        try
        {
            return Read(TextProto.Read(File.ReadAllText(path)), inputs);
        }
        catch (InvalidDataException e)
        {
            throw new InvalidDataException($"{FileName}: {e.Message}", e);
        }
    }

    private static ModelConfigFile Read(IReadOnlyList<TextProtoField> fields, IReadOnlyList<TensorSpec> inputs)
    {
        var (formats, ignored) = (new Dictionary<string, string>(), new SortedSet<string>(StringComparer.Ordinal));
        foreach (var field in fields)
        {
            if (field is not { Name: "input", Fields: { } input })
            {
                ignored.Add(field.Name);
                continue;
            }

            var (name, format) = (input.LastOrDefault(f => f.Name == "name"), input.LastOrDefault(f => f.Name == "format"));
            foreach (var other in input.Where(f => f.Name is not ("name" or "format"))) ignored.Add($"input.{other.Name}");
            if (format is not null) formats[Input(name, field, inputs)] = Format(format);
        }

        return new ModelConfigFile(formats, [.. ignored]);
    }

    private static string Input(TextProtoField? name, TextProtoField field, IReadOnlyList<TensorSpec> inputs) =>
        name is not null && inputs.Any(i => i.Name == name.Text) ? name.Text : throw new InvalidDataException(
            $"line {name?.Line ?? field.Line}: input.name is '{name?.Text}', expected one of {string.Join(", ", inputs.Select(i => $"'{i.Name}'"))}");

    private static string Format(TextProtoField format) => Known.Contains(format.Text) ? format.Text : throw new InvalidDataException(
        $"line {format.Line}: input.format is '{format.Text}', expected one of {string.Join(", ", Known)}");
}
