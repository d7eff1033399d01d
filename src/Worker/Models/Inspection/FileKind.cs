using System.Text;

namespace Sluice.Worker.Models.Inspection;

/// <summary>Detects files that are often stored as model.onnx by mistake, by their first bytes. Pure.</summary>
internal static class FileKind
{
    /// <summary>Number of bytes that <see cref="Detect"/> reads at most.</summary>
    public const int Head = 64;

    /// <summary>Largest size of a Git LFS pointer in bytes, from its specification.</summary>
    public const int MaxLfsPointer = 1024;

    /// <summary>Action for a Git LFS pointer: github.com/git-lfs/git-lfs/blob/main/docs/spec.md.</summary>
    public const string FetchLfs = "run 'git lfs pull' in the repository that it comes from";

    private static readonly (byte[] Start, int At, string Name)[] Known =
    [
        ([0x50, 0x4B, 0x03, 0x04], 0, "a ZIP archive, as torch.save and Keras write it"),
        ([0x80, 0x02], 0, "a Python pickle, as older versions of torch.save write it"),
        ([0x1F, 0x8B], 0, "a gzip archive"),
        ([0x89, 0x48, 0x44, 0x46], 0, "an HDF5 file, as Keras writes it"),
        ("GGUF"u8.ToArray(), 0, "a GGUF file"),
        ("TFL3"u8.ToArray(), 4, "a TensorFlow Lite model"),
        ("ORTM"u8.ToArray(), 4, "a model in the ORT format"),
    ];

    /// <summary>Returns the kind of the file and the action to take. Null if the kind is unknown.</summary>
    /// <param name="head">The first bytes of the file.</param>
    public static (string Name, string Action)? Detect(ReadOnlySpan<byte> head)
    {
        if (IsLfsPointer(head)) return ("a Git LFS pointer", FetchLfs);
        foreach (var (start, at, name) in Known)
            if (head.Length > at && head[at..].StartsWith(start)) return (name, "export the model to ONNX");
        // A safetensors file begins with the length of a JSON header: github.com/huggingface/safetensors.
        if (head.Length > 8 && head[8] == '{' && head[4..8].IndexOfAnyExcept((byte)0) < 0)
            return ("a safetensors file", "export the model to ONNX");
        var text = Encoding.Latin1.GetString(head).TrimStart();
        foreach (var start in new[] { "<!DOCTYPE", "<html", "<?xml" })
            if (text.StartsWith(start, StringComparison.OrdinalIgnoreCase))
                return ("an HTML or XML page", "download the file itself, not the page that shows it");
        return text.StartsWith('{') ? ("a JSON text", "export the model to ONNX") : null;
    }

    /// <summary>
    /// Returns whether the file is a pointer that Git LFS writes in place of a file that was not fetched.
    /// </summary>
    public static bool IsLfsPointer(ReadOnlySpan<byte> head) => head.StartsWith("version https://git-lfs"u8);
}
