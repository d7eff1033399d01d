using System.IO.Compression;
using System.Security.Cryptography;

namespace Sluice.Gateway.Dashboard;

/// <summary>
/// A file of the dashboard with its compressed forms, each of which is made when it is first requested, and kept.
/// </summary>
public sealed class DashboardFile
{
    private readonly byte[] content;
    private readonly Lazy<byte[]> brotli;
    private readonly Lazy<byte[]> gzip;
    private readonly string hash;

    /// <summary>Creates a file.</summary>
    /// <param name="path">The path below <c>/ui/</c>.</param>
    /// <param name="content">The content.</param>
    public DashboardFile(string path, byte[] content)
    {
        this.content = content;
        (ContentType, var compresses) = Path.GetExtension(path) switch
        {
            ".html" => ("text/html; charset=utf-8", true),
            ".js" => ("text/javascript; charset=utf-8", true),
            ".css" => ("text/css; charset=utf-8", true),
            ".svg" => ("image/svg+xml", true),
            ".json" => ("application/json", true),
            ".webmanifest" => ("application/manifest+json", true),
            ".txt" => ("text/plain; charset=utf-8", true),
            ".png" => ("image/png", false),
            ".ico" => ("image/x-icon", true),
            ".woff2" => ("font/woff2", false),
            _ => ("application/octet-stream", false),
        };
        IsImmutable = path.StartsWith("assets/", StringComparison.Ordinal);
        Compresses = compresses;
        hash = Convert.ToHexStringLower(SHA256.HashData(content).AsSpan(0, 12));
        brotli = new(() => Compress(s => new BrotliStream(s, CompressionLevel.SmallestSize)));
        gzip = new(() => Compress(s => new GZipStream(s, CompressionLevel.SmallestSize)));
    }

    public string ContentType { get; }

    /// <summary>Whether the name has a hash of the content, so that browsers never need to ask for it again.</summary>
    public bool IsImmutable { get; }

    /// <summary>Whether compression makes it smaller.</summary>
    public bool Compresses { get; }

    /// <summary>Returns the content in an encoding, with its entity tag.</summary>
    /// <param name="encoding"><c>br</c>, <c>gzip</c>, or an empty text for the content itself.</param>
    public (byte[] Body, string Tag) Get(string encoding) => encoding switch
    {
        "br" => (brotli.Value, $"\"{hash}-br\""),
        "gzip" => (gzip.Value, $"\"{hash}-gzip\""),
        _ => (content, $"\"{hash}\""),
    };

    private byte[] Compress(Func<Stream, Stream> open)
    {
        using var compressed = new MemoryStream();
        using (var stream = open(compressed)) stream.Write(content);
        return compressed.ToArray();
    }
}
