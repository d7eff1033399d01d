using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Sluice.Worker.Models;

namespace Sluice.Worker.Generation;

/// <summary>
/// Identifies what determines the texts of a model: the files of its folder, and the build of the worker. Two workers
/// with the same fingerprint continue each other's texts.
/// </summary>
internal static class ModelFingerprint
{
    /// <summary>Configurations and tokenizers are read whole up to this size; the largest known ones have 35 MB.
    /// </summary>
    private const long MaxWholeText = 64L << 20;

    /// <summary>Other files are read whole up to this size.</summary>
    private const long MaxWhole = 1L << 20;

    /// <summary>
    /// Larger files are read in parts. Training changes all weights, so a part of them shows the difference, and a
    /// start does not wait for gigabytes.
    /// </summary>
    private const int Parts = 64, PartBytes = 16 << 10;

    private static readonly string[] TextTypes = [".json", ".jinja", ".model", ".txt"];

    /// <summary>Computes the fingerprint of a model: 32 hexadecimal digits.</summary>
    /// <param name="modelPath">Path of the model's file.</param>
    public static string Compute(string modelPath)
    {
        var folders = new[] { Path.GetDirectoryName(Path.GetFullPath(modelPath))!,
            ModelFolder.ConfigurationFolder(modelPath) };
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(typeof(ModelFingerprint).Module.ModuleVersionId.ToByteArray());
        // One folder can have the same model in several precisions.
        hash.AppendData(Encoding.UTF8.GetBytes(Path.GetFileName(modelPath)));
        foreach (var file in folders.Distinct().SelectMany(Directory.GetFiles)
            .Where(f => !Path.GetFileName(f).StartsWith('.')).Order(StringComparer.Ordinal))
            Add(hash, file);
        return Convert.ToHexStringLower(hash.GetHashAndReset().AsSpan(0, 16));
    }

    private static void Add(IncrementalHash hash, string path)
    {
        try
        {
            AddContent(hash, path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A file that the worker may not read has no effect on its texts.
        }
    }

    private static void AddContent(IncrementalHash hash, string path)
    {
        using var file = File.OpenHandle(path);
        var length = RandomAccess.GetLength(file);
        Span<byte> size = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(size, length);
        hash.AppendData(Encoding.UTF8.GetBytes(Path.GetFileName(path)));
        hash.AppendData(size);
        var isText = TextTypes.Contains(Path.GetExtension(path), StringComparer.OrdinalIgnoreCase);
        var isWhole = length <= (isText ? MaxWholeText : MaxWhole);
        var buffer = new byte[isWhole ? Math.Min(length, 64 << 10) : PartBytes];
        var step = isWhole ? buffer.Length : (length - PartBytes) / (Parts - 1);
        for (long at = 0; at < length && buffer.Length > 0; at += step)
            hash.AppendData(buffer.AsSpan(0, RandomAccess.Read(file, buffer, at)));
    }
}
