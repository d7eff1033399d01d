using Sluice.Worker.Tensors;

namespace Sluice.Worker.Models;

/// <summary>
/// The <c>config.pbtxt</c> file in the model's folder, as in Triton. It declares the <c>format</c> of inputs: an ONNX
/// file does not contain the format, and image clients require it. All other fields have no effect, because the model
/// and the worker's settings determine them.
/// </summary>
/// <param name="Formats">Format by input name. <c>FORMAT_NONE</c> if the file declares no format.</param>
/// <param name="Ignored">Fields of the file that have no effect.</param>
public sealed record ModelConfigFile(IReadOnlyDictionary<string, string> Formats, IReadOnlyList<string> Ignored)
{
    public const string NoFormat = "FORMAT_NONE";

    private const string FileName = "config.pbtxt";

    /// <summary>Largest size of the file in bytes. Real configurations are far smaller.</summary>
    private const int MaxBytes = 1 << 20;

    /// <summary>Values of ModelInput.Format in Triton's model_config.proto.</summary>
    private static readonly string[] Known = [NoFormat, "FORMAT_NHWC", "FORMAT_NCHW"];

    private static readonly ModelConfigFile None = new(new Dictionary<string, string>(), []);

    /// <summary>Reads the file of a model.</summary>
    /// <param name="modelPath">Path of the version's model.onnx.</param>
    /// <param name="inputs">The model's inputs.</param>
    /// <exception cref="InvalidDataException">The file is invalid. The message names the line, the value and the rule.
    /// </exception>
    public static ModelConfigFile Read(string modelPath, IReadOnlyList<TensorSpec> inputs)
    {
        var path = Path.Combine(Path.GetDirectoryName(Path.GetDirectoryName(modelPath))!, FileName);
        if (!File.Exists(path)) return None;
        if (new FileInfo(path).Length is var length and > MaxBytes)
            throw new InvalidDataException($"{FileName} has {length} bytes; expected at most {MaxBytes}");
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
        var formats = new Dictionary<string, string>();
        var ignored = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var field in fields)
        {
            if (field is not { Name: "input", Fields: { } input })
            {
                ignored.Add(field.Name);
                continue;
            }

            var name = input.LastOrDefault(f => f.Name == "name");
            var format = input.LastOrDefault(f => f.Name == "format");
            foreach (var other in input.Where(f => f.Name is not ("name" or "format")))
                ignored.Add($"input.{other.Name}");
            if (format is not null) formats[Input(name, field, inputs)] = Format(format);
        }

        return new ModelConfigFile(formats, [.. ignored]);
    }

    private static string Input(TextProtoField? name, TextProtoField field, IReadOnlyList<TensorSpec> inputs) =>
        name is not null && inputs.Any(i => i.Name == name.Text) ? name.Text : throw new InvalidDataException(
            $"line {name?.Line ?? field.Line}: input.name is '{name?.Text}'; expected one of "
            + string.Join(", ", inputs.Select(i => $"'{i.Name}'")));

    private static string Format(TextProtoField format) => Known.Contains(format.Text)
        ? format.Text
        : throw new InvalidDataException(
        $"line {format.Line}: input.format is '{format.Text}'; expected one of {string.Join(", ", Known)}");
}
