using System.Globalization;
using Sluice.Worker.Generation.Tokenization.Files;

namespace Sluice.Worker.Generation.Tokenization;

/// <summary>Selects the tokenizer of a model.</summary>
public static class Tokenizers
{
    /// <summary>
    /// Returns the tokenizer of a model: bytes if <c>sluice.vocab</c> says so, otherwise that of the file
    /// <c>tokenizer.json</c>.
    /// </summary>
    /// <param name="metadata">The metadata of the model.</param>
    /// <param name="folder">The folder of the model's file, or null if it has none.</param>
    /// <exception cref="NotSupportedException">
    /// There is no such file, or it is not valid, or it uses an element that is not supported.
    /// </exception>
    public static ITokenizer For(IReadOnlyDictionary<string, string> metadata, string? folder = null) =>
        metadata.GetValueOrDefault("sluice.vocab") switch
        {
            "bytes" => new ByteTokenizer((byte)ReadNumber(metadata, "sluice.eos", 0)),
            null when folder is not null && FindFile(folder) is not null => Load(folder),
            _ => throw new NotSupportedException(
                "text generation: the model has no tokenizer.json, and is not over bytes (sluice.vocab=bytes)"),
        };

    /// <summary>Loads the tokenizer in a folder of a model, or in the folder above, as onnx-community publishes it.
    /// </summary>
    /// <exception cref="TokenizerFileException">
    /// There is no such file, or it is not valid, or it uses an element that is not supported.
    /// </exception>
    public static HuggingFaceTokenizer Load(string folder)
    {
        var path = FindFile(folder) ?? throw new TokenizerFileException(
            $"{TokenizerFile.Name} is missing in {folder}; text needs the tokenizer of the model");
        return new HuggingFaceTokenizer(TokenizerFile.Read(path), TokenizerConfig.Read(Folders(folder)));
    }

    /// <summary>
    /// Returns the folders with the files of a model, in the order in which they are searched: its own, and the one
    /// above if its own is called <c>onnx</c>.
    /// </summary>
    public static IReadOnlyList<string> Folders(string folder)
    {
        var full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        return Path.GetFileName(full) == "onnx" && Path.GetDirectoryName(full) is { } above ? [full, above] : [full];
    }

    /// <summary>Reads a number of the metadata. Returns the default if it is missing or not a number.</summary>
    public static int ReadNumber(IReadOnlyDictionary<string, string> metadata, string property, int defaultValue) =>
        int.TryParse(metadata.GetValueOrDefault(property), CultureInfo.InvariantCulture, out var n)
            ? n
            : defaultValue;

    /// <summary>Returns the path of <c>tokenizer.json</c>, or null if there is none.</summary>
    private static string? FindFile(string folder) =>
        Folders(folder).Select(f => Path.Combine(f, TokenizerFile.Name)).FirstOrDefault(File.Exists);
}
