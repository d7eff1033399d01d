using System.IO.Compression;

namespace Sluice.Gateway.Http;

/// <summary>
/// Writes a text response, compressed with gzip if the client accepts it. Prometheus accepts gzip, and compressed
/// metrics have a tenth of the size.
/// </summary>
internal static class CompressibleText
{
    /// <summary>Writes a text in UTF-8 as the response body.</summary>
    public static async Task WriteAsync(HttpContext context, byte[] body, string contentType)
    {
        var request = context.Request;
        var response = context.Response;
        response.ContentType = contentType;
        response.Headers.Vary = "Accept-Encoding";
        if (AcceptsGzip(request))
        {
            response.Headers.ContentEncoding = "gzip";
            body = Gzip(body);
        }

        response.ContentLength = body.Length;
        await response.Body.WriteAsync(body, context.RequestAborted);
    }

    private static bool AcceptsGzip(HttpRequest request) => request.Headers.AcceptEncoding.Count > 0
        && request.GetTypedHeaders().AcceptEncoding.Any(a => a.Quality is not 0
        && a.Value.Equals("gzip", StringComparison.OrdinalIgnoreCase));

    private static byte[] Gzip(byte[] body)
    {
        using var compressed = new MemoryStream();
        using (var gzip = new GZipStream(compressed, CompressionLevel.Fastest, leaveOpen: true)) gzip.Write(body);
        return compressed.ToArray();
    }
}
