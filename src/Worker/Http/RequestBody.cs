using System.Buffers;
using System.Globalization;
using System.IO.Compression;
using System.IO.Pipelines;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Http;

/// <summary>
/// Contains the complete body of a request. The body stays in the buffers of the connection, and its JSON part is
/// contiguous, so that it can be parsed without a copy. Disposing returns the buffers.
/// </summary>
internal sealed class RequestBody : IDisposable
{
    /// <summary>Header with the length of the JSON document before the binary data, in bytes.</summary>
    public const string LengthHeader = "Inference-Header-Content-Length";

    private readonly PipeReader? source;
    private readonly ReadOnlySequence<byte> all;
    private byte[]? rented;

    private RequestBody(PipeReader? source, ReadOnlySequence<byte> all)
    {
        this.source = source;
        this.all = all;
    }

    /// <summary>Size in bytes, after decompression.</summary>
    public long Length => all.Length;

    /// <summary>Reads the complete body. Decompresses gzip and deflate.</summary>
    /// <param name="context">The request.</param>
    /// <param name="limit">Maximum size after decompression, in bytes.</param>
    /// <exception cref="InvalidRequestException">
    /// 413: the body is too large. 501: its encoding is not supported. 400: it cannot be decompressed.
    /// </exception>
    public static async ValueTask<RequestBody> ReadAsync(HttpContext context, long limit)
    {
        if (context.Request.ContentLength > limit) throw TooLarge(limit);
        var encoding = context.Request.Headers.ContentEncoding.ToString();
        if (encoding is not ("" or "identity")) return await DecompressAsync(context, encoding, limit);
        var reader = context.Request.BodyReader;
        while (true)
        {
            var result = await reader.ReadAsync(context.RequestAborted);
            if (result.Buffer.Length > limit) throw TooLarge(limit);
            if (result.IsCompleted) return new RequestBody(reader, result.Buffer);
            reader.AdvanceTo(result.Buffer.Start, result.Buffer.End);
        }
    }

    /// <summary>
    /// Splits the body into the JSON document and the binary data after it, as the header of the binary extension
    /// specifies. Without the header, the whole body is JSON.
    /// </summary>
    public (ReadOnlyMemory<byte> Json, ReadOnlySequence<byte> Binary) Split(HttpContext context)
    {
        var length = JsonLength(context);
        return (ToContiguous(all.Slice(0, length)), all.Slice(length));
    }

    /// <summary>Parses the whole body as JSON.</summary>
    /// <param name="skip">Number of bytes before the JSON.</param>
    public JsonDocument Parse(long skip = 0)
    {
        var json = all.Slice(skip);
        try
        {
            return JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = 100 });
        }
        catch (JsonException e)
        {
            throw RequestJson.Syntax(ToContiguous(json).Span, e);
        }
    }

    /// <summary>Returns a copy of the first bytes of the body.</summary>
    public byte[] CopyStart(long length) => all.Slice(0, length).ToArray();

    public void Dispose()
    {
        if (rented is not null) ArrayPool<byte>.Shared.Return(rented);
        rented = null;
        source?.AdvanceTo(all.End);
    }

    /// <summary>
    /// Returns a part of the body as contiguous memory. Copies it if it has several segments; a copy takes a
    /// hundredth of the time of parsing.
    /// </summary>
    private ReadOnlyMemory<byte> ToContiguous(ReadOnlySequence<byte> part)
    {
        if (part.IsSingleSegment) return part.First;
        rented = ArrayPool<byte>.Shared.Rent((int)part.Length);
        part.CopyTo(rented);
        return rented.AsMemory(0, (int)part.Length);
    }

    private long JsonLength(HttpContext context)
    {
        if (!context.Request.Headers.TryGetValue(LengthHeader, out var text)) return Length;
        if (!long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var length) || length > Length)
            throw new InvalidRequestException(
                $"inference header size should be in range (0, {Length}), got: {text} ({LengthHeader})");
        return length;
    }

    private static async ValueTask<RequestBody> DecompressAsync(HttpContext context, string encoding, long limit)
    {
        var body = context.Request.Body;
        await using Stream plain = encoding switch
        {
            "gzip" => new GZipStream(body, CompressionMode.Decompress),
            // The HTTP encoding "deflate" is the zlib format (RFC 9110, 8.4.1.2).
            "deflate" => new ZLibStream(body, CompressionMode.Decompress),
            _ => throw Unsupported(context),
        };
        var all = new MemoryStream();
        var buffer = ArrayPool<byte>.Shared.Rent(64 << 10);
        try
        {
            while (await plain.ReadAsync(buffer, context.RequestAborted) is var n and > 0)
            {
                if (all.Length + n > limit) throw TooLarge(limit);
                all.Write(buffer, 0, n);
            }
        }
        catch (InvalidDataException e)
        {
            throw new InvalidRequestException($"The request body is not valid {encoding}: {e.Message}");
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        return new RequestBody(null, new ReadOnlySequence<byte>(all.GetBuffer(), 0, (int)all.Length));
    }

    private static InvalidRequestException Unsupported(HttpContext context)
    {
        context.Response.Headers.AcceptEncoding = "gzip, deflate";
        return new InvalidRequestException("Unsupported compression type", 501);
    }

    private static InvalidRequestException TooLarge(long limit) => new(
        $"The request body is larger than {limit} bytes (SLUICE_MAX_BODY_BYTES).", 413);
}
