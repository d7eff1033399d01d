using System.Text.Json;

namespace Sluice.Worker.Models;

/// <summary>
/// Finds the files of a model in a folder, as it is published: <c>model.onnx</c> (Triton), the file that
/// <c>genai_config.json</c> names (the model builder of ONNX Runtime GenAI), or <c>onnx/model.onnx</c> with the
/// configuration in the folder above (onnx-community and Optimum).
/// </summary>
public static class ModelFolder
{
    /// <summary>The configuration that ONNX Runtime GenAI's model builder writes.</summary>
    public const string GenAiConfig = "genai_config.json";

    /// <summary>The configuration of Hugging Face's transformers.</summary>
    public const string Config = "config.json";

    private const string ModelName = "model.onnx", OnnxFolder = "onnx";

    /// <summary>Names that transformers.js expects for models for images and text.</summary>
    private const string MergedDecoder = "decoder_model_merged", Embeddings = "embed_tokens";

    /// <summary>Largest size of a configuration file in bytes. Real ones are far smaller.</summary>
    private const int MaxConfigBytes = 4 << 20;

    /// <summary>Files besides the model that describe it. A change of one of them loads the model again.</summary>
    private static readonly string[] Companions =
    [
        GenAiConfig, Config, "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja",
    ];

    /// <summary>Returns the path of the model in a folder, or null if there is none.</summary>
    public static string? FindModel(string folder)
    {
        var candidates = new List<string> { Path.Combine(folder, ModelName) };
        if (NamedByGenAi(folder, "decoder") is { } named) candidates.Insert(0, Path.Combine(folder, named));
        candidates.Add(Path.Combine(folder, OnnxFolder, ModelName));
        if (candidates.Find(File.Exists) is { } found) return found;
        // Published folders often have several precisions. Only one of them leaves no question.
        var onnx = Path.Combine(folder, OnnxFolder);
        if (!Directory.Exists(onnx)) return null;
        if (Directory.GetFiles(onnx, "*.onnx") is [var only]) return only;
        // A model for images and text has its encoders in other files.
        return Directory.GetFiles(onnx, $"{MergedDecoder}*.onnx") is [var decoder] ? decoder : null;
    }

    /// <summary>
    /// Returns the model beside a decoder that converts its tokens to vectors: the file that <c>genai_config.json</c>
    /// names, or <c>embed_tokens*.onnx</c> with the precision of the decoder, or the only such file. Null: there is
    /// none.
    /// </summary>
    public static string? FindEmbeddings(string modelPath)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(modelPath))!;
        var named = NamedByGenAi(ConfigurationFolder(modelPath), "embedding");
        if (named is not null && File.Exists(Path.Combine(folder, named))) return Path.Combine(folder, named);
        var name = Path.GetFileNameWithoutExtension(modelPath);
        var precision = new[] { MergedDecoder, "model" }.Where(name.StartsWith).Select(p => name[p.Length..]);
        return precision.Select(p => Path.Combine(folder, $"{Embeddings}{p}.onnx")).FirstOrDefault(File.Exists)
            ?? (Directory.GetFiles(folder, $"{Embeddings}*.onnx") is [var only] ? only : null);
    }

    /// <summary>
    /// Returns the folder with the configuration of a model: the folder of its file, or the folder above of
    /// <c>onnx/model.onnx</c>.
    /// </summary>
    public static string ConfigurationFolder(string modelPath)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(modelPath))!;
        return Path.GetFileName(folder) == OnnxFolder ? Path.GetDirectoryName(folder)! : folder;
    }

    /// <summary>Returns whether a folder has the tokenizer and the configuration of a published text model.</summary>
    public static bool DescribesTextModel(string modelPath)
    {
        var folder = ConfigurationFolder(modelPath);
        return File.Exists(Path.Combine(folder, GenAiConfig))
            || (File.Exists(Path.Combine(folder, Config)) && File.Exists(Path.Combine(folder, "tokenizer.json")));
    }

    /// <summary>Returns the files that belong to a model and exist, the model first.</summary>
    public static IEnumerable<FileInfo> FilesOf(string modelPath)
    {
        var folder = ConfigurationFolder(modelPath);
        return Companions.Select(n => Path.Combine(folder, n))
            .Concat(FindEmbeddings(modelPath) is { } embeddings ? [embeddings] : Array.Empty<string>())
            .Prepend(modelPath)
            .Select(p => new FileInfo(p)).Where(f => f.Exists);
    }

    /// <summary>
    /// Reads a configuration file. Returns null if it does not exist. The caller disposes the document.
    /// </summary>
    /// <exception cref="InvalidDataException">The file is too large, or is not a JSON object.</exception>
    public static JsonDocument? ReadConfig(string folder, string name)
    {
        var path = Path.Combine(folder, name);
        if (!File.Exists(path)) return null;
        if (new FileInfo(path).Length is var length and > MaxConfigBytes)
            throw new InvalidDataException($"{name} has {length} bytes; expected at most {MaxConfigBytes}");
        try
        {
            var document = JsonDocument.Parse(File.ReadAllBytes(path),
                new JsonDocumentOptions { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip });
            if (document.RootElement.ValueKind == JsonValueKind.Object) return document;
            document.Dispose();
            throw new InvalidDataException($"{name} is not a JSON object");
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"{name} is not valid JSON: {e.Message}", e);
        }
    }

    private static string? NamedByGenAi(string folder, string part)
    {
        using var config = ReadConfig(folder, GenAiConfig);
        return config is not null
            && config.RootElement.TryGetProperty("model", out var model) && model.ValueKind == JsonValueKind.Object
            && model.TryGetProperty(part, out var section) && section.ValueKind == JsonValueKind.Object
            && section.TryGetProperty("filename", out var file) && file.ValueKind == JsonValueKind.String
            && file.GetString() is { Length: > 0 } name && Path.GetFileName(name) == name
            ? name
            : null;
    }
}
