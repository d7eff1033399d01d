using System.Security.Cryptography;
using System.Text;
using Sluice.Worker.Configuration;

namespace Sluice.Worker.Models.Cache;

/// <summary>
/// Key of a cache entry: a hash of everything that the copy depends on. 64 hexadecimal digits.
/// </summary>
internal readonly record struct ModelKey(string Value)
{
    /// <param name="conditions">Everything except the model that the copy depends on.</param>
    /// <param name="files">Path relative to the model's folder, and SHA-256, of model.onnx and of each external
    /// file.</param>
    public static ModelKey Compute(CacheConditions conditions, IEnumerable<(string Name, string Hash)> files)
    {
        var text = new StringBuilder();
        Add(
            text,
            $"sluice model cache {CacheSettings.Format}",
            conditions.OnnxRuntime,
            conditions.GraphLevel,
            conditions.Cpu);
        Add(text, [$"{conditions.Providers.Count}", .. conditions.Providers]);
        foreach (var (name, hash) in files.OrderBy(f => f.Name, StringComparer.Ordinal)) Add(text, name, hash);
        return new(Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString()))));
    }

    public override string ToString() => Value;

    /// <summary>Adds each part with its length first, so that no two lists of parts produce the same text.</summary>
    private static void Add(StringBuilder text, params string[] parts)
    {
        foreach (var part in parts) text.Append(part.Length).Append(':').Append(part).Append('\n');
    }
}
