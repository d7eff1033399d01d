using System.IO.Compression;
using System.Text;

namespace Sluice.Gateway.Api;

/// <summary>A text answer that is compressed with gzip where the client accepts it: Prometheus does, and metrics shrink to a tenth.</summary>
internal static class CompressibleText
{
    public static async Task WriteAsync(HttpContext context, string text, string contentType)
    {
        var (request, response) = (context.Request, context.Response);
        var body = Encoding.UTF8.GetBytes(text);
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
        && request.GetTypedHeaders().AcceptEncoding.Any(a => a.Quality is not 0 && a.Value.Equals("gzip", StringComparison.OrdinalIgnoreCase));

    private static byte[] Gzip(byte[] body)
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true)) gzip.Write(body);
        return packed.ToArray();
    }
}
