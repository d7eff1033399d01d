using System.Buffers;
using System.IO.Pipelines;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Api;

/// <summary>Request bodies, read whole into the connection's own buffers and parsed there.</summary>
internal static class RequestBody
{
    private const string LengthHeader = "Inference-Header-Content-Length";

    /// <summary>Reads all of the body. The caller ends its use with <see cref="PipeReader.AdvanceTo(SequencePosition)"/>.</summary>
    public static async Task<ReadOnlySequence<byte>> ReadAsync(HttpContext context, long limit)
    {
        if (context.Request.Headers.ContentEncoding.Count > 0 && context.Request.Headers.ContentEncoding != "identity")
            throw new InvalidRequestException("Unsupported compression type", 501);
        if (context.Request.ContentLength > limit) throw TooLarge(limit);
        var reader = context.Request.BodyReader;
        while (true)
        {
            var result = await reader.ReadAsync(context.RequestAborted);
            if (result.Buffer.Length > limit) throw TooLarge(limit);
            if (result.IsCompleted) return result.Buffer;
            reader.AdvanceTo(result.Buffer.Start, result.Buffer.End);
        }
    }

    /// <summary>Where the JSON part ends: the binary extension's header, or the whole body.</summary>
    public static long JsonLength(HttpContext context, long bodyLength)
    {
        if (!context.Request.Headers.TryGetValue(LengthHeader, out var text)) return bodyLength;
        if (!long.TryParse(text, System.Globalization.NumberStyles.None,
                System.Globalization.CultureInfo.InvariantCulture, out var length) || length > bodyLength)
            throw new InvalidRequestException(
                $"inference header size should be in range (0, {bodyLength}), got: {text} ({LengthHeader})");
        return length;
    }

    public static async Task<JsonDocument> ReadJsonAsync(HttpContext context, long limit)
    {
        var body = await ReadAsync(context, limit);
        try
        {
            return JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = 100 });
        }
        catch (JsonException e)
        {
            throw new InvalidRequestException($"failed to parse the request JSON at line {e.LineNumber + 1}, byte "
                + $"{e.BytePositionInLine + 1}: {e.Message.Split(" LineNumber")[0]}");
        }
        finally
        {
            context.Request.BodyReader.AdvanceTo(body.End);
        }
    }

    private static InvalidRequestException TooLarge(long limit) =>
        new($"the request body is larger than the limit of {limit} bytes (SLUICE_MAX_BODY_BYTES)", 413);
}
