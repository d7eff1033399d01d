using System.Buffers;
using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;
using Sluice.Gateway.Http;
using Sluice.Storage.Files;

namespace Sluice.Gateway.OpenAi;

/// <summary>
/// Reads <c>multipart/form-data</c> with a file. The file is written to the payload folder while it arrives, so its
/// size does not matter for the memory of the gateway. A connection that sends too slowly is ended by the server's
/// minimum rate.
/// </summary>
internal sealed class FileUpload(BlobStore blobs, FileSettings settings)
{
    /// <summary>Bytes of a request beside the file: boundaries, headers and fields.</summary>
    private const int OverheadBytes = 64 << 10;

    /// <summary>The longest value of a field, in bytes.</summary>
    private const int MaxField = 1024;

    /// <summary>
    /// Maximum number of fields beside the file. They are in memory, so the limit of the body is too large for them.
    /// </summary>
    private const int MaxFields = 16;

    private const int BufferBytes = 64 << 10;

    /// <summary>Reads the request. Null: an error response was written, and no bytes are stored.</summary>
    public async Task<Upload?> ReadAsync(HttpContext context)
    {
        if (!MediaTypeHeaderValue.TryParse(context.Request.ContentType, out var type)
            || !type.MediaType.Equals("multipart/form-data", StringComparison.OrdinalIgnoreCase)
            || HeaderUtilities.RemoveQuotes(type.Boundary) is not { Length: > 0 and <= 70 } boundary)
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
                $"Content-Type is '{context.Request.ContentType}'; expected multipart/form-data with a boundary.");
            return null;
        }

        if (context.Request.ContentLength > settings.MaxBytes + OverheadBytes)
        {
            RequestBodyDrain.LetSend(context);
            await WriteTooLargeAsync(context);
            return null;
        }

        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } feature)
            feature.MaxRequestBodySize = settings.MaxBytes + OverheadBytes;
        var upload = new Upload();
        var isComplete = false;
        try
        {
            var reader = new MultipartReader(boundary.ToString(), context.Request.Body);
            isComplete = await ReadAsync(context, reader, upload);
        }
        catch (BadHttpRequestException e) when (e.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            await WriteTooLargeAsync(context);
        }
        // MultipartReader throws these for a body that is not multipart, and for one that ends early.
        catch (Exception e) when (e is InvalidDataException or (IOException and not Storage.Jobs.PayloadException))
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
                $"The body is not valid multipart/form-data: {e.Message}");
        }
        finally
        {
            if (upload.Writer is not null) await upload.Writer.DisposeAsync();
            if (!isComplete && upload.Writer is not null) blobs.Delete(upload.Writer.Reference);
        }

        return isComplete ? upload : null;
    }

    private async Task<bool> ReadAsync(HttpContext context, MultipartReader reader, Upload upload)
    {
        var ct = context.RequestAborted;
        while (await reader.ReadNextSectionAsync(ct) is { } section)
        {
            if (!ContentDispositionHeaderValue.TryParse(section.ContentDisposition, out var disposition)) continue;
            var name = HeaderUtilities.RemoveQuotes(disposition.Name).ToString();
            if (name != "file")
            {
                if (upload.Fields.Count == MaxFields)
                    throw new InvalidDataException($"it has more than {MaxFields} fields beside the file");
                upload.Fields[name] = await ReadFieldAsync(section.Body, ct);
                continue;
            }

            var given = disposition.FileNameStar.HasValue ? disposition.FileNameStar : disposition.FileName;
            upload.Name = HeaderUtilities.RemoveQuotes(given).ToString() is { Length: > 0 } file ? file : "file";
            if (upload.Writer is not null) throw new InvalidDataException("the field 'file' is repeated");
            upload.Writer = await blobs.CreateAsync();
            if (await CopyAsync(section.Body, upload.Writer, ct)) continue;
            await WriteTooLargeAsync(context);
            return false;
        }

        if (upload.Writer is null)
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
                "'file' is missing; expected a field with a file.", param: "file");
            return false;
        }

        await upload.Writer.FlushAsync();
        return true;
    }

    /// <summary>Copies the file. Returns false if it is larger than the limit.</summary>
    private async Task<bool> CopyAsync(Stream from, BlobWriter to, CancellationToken ct)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            while (await from.ReadAsync(buffer, ct) is var n and > 0)
            {
                if (to.Length + n > settings.MaxBytes) return false;
                await to.WriteAsync(buffer.AsMemory(0, n), ct);
            }

            return true;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static async Task<string> ReadFieldAsync(Stream body, CancellationToken ct)
    {
        var bytes = new byte[MaxField + 1];
        var n = await body.ReadAtLeastAsync(bytes, bytes.Length, throwOnEndOfStream: false, ct);
        if (n > MaxField) throw new InvalidDataException($"a field has more than {MaxField} bytes");
        return Encoding.UTF8.GetString(bytes, 0, n);
    }

    private Task WriteTooLargeAsync(HttpContext context) => Problem.WriteAsync(context,
        StatusCodes.Status413PayloadTooLarge, string.Create(CultureInfo.InvariantCulture,
            $"The file is too large; expected at most {settings.MaxBytes} bytes (SLUICE_FILE_MAX_MIB)."),
        param: "file");

    /// <summary>What a request contained.</summary>
    internal sealed class Upload
    {
        /// <summary>The other fields.</summary>
        public Dictionary<string, string> Fields { get; } = [];

        /// <summary>The name of the file.</summary>
        public string Name { get; set; } = "";

        /// <summary>The bytes of the file.</summary>
        public BlobWriter? Writer { get; set; }
    }
}
