using System.Globalization;
using System.Security.Cryptography;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Storage.Batches;
using Sluice.Storage.Files;

namespace Sluice.Gateway.OpenAi;

/// <summary>
/// <c>/v1/files</c> of OpenAI's API, for the inputs and outputs of batches. A key sees only its own files.
/// </summary>
public sealed class FilesApi(FileStore files, BlobStore blobs, BatchStore batches, FileSettings settings)
{
    /// <summary>The purpose of an input of a batch.</summary>
    public const string BatchPurpose = "batch";

    /// <summary>The most files of a page, as at OpenAI.</summary>
    private const int MaxLimit = 10_000;

    /// <summary>The range of <c>expires_after[seconds]</c>, as at OpenAI.</summary>
    private const int MinKeep = 3600;
    private const int MaxKeep = 30 * 86400;

    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(60);

    /// <summary>Maps the routes.</summary>
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapRoute("POST", "/v1/files", AccessLevel.AuthenticatedKey,
            "Upload a file for a batch (multipart/form-data with the fields purpose and file)", CreateAsync)
            .Produces<FileObject>();
        routes.MapRoute("GET", "/v1/files", AccessLevel.AuthenticatedKey,
            "List the files of the key, newest first; ?purpose=, ?order=, ?after=, ?limit=", ListAsync)
            .Produces<ListFilesResponse>().WithMetadata(new Polled());
        routes.MapRoute("GET", "/v1/files/{id}", AccessLevel.AuthenticatedKey, "Get a file of the key",
            (HttpContext c) => WithFileAsync(c, f => WriteAsync(c, FileObject.From(f))))
            .Produces<FileObject>().WithMetadata(new Polled());
        routes.MapRoute("GET", "/v1/files/{id}/content", AccessLevel.AuthenticatedKey, "Read the bytes of a file",
            (HttpContext c) => WithFileAsync(c, f => WriteContentAsync(c, f)));
        routes.MapRoute("DELETE", "/v1/files/{id}", AccessLevel.AuthenticatedKey, "Delete a file of the key",
            (HttpContext c) => WithFileAsync(c, f => DeleteAsync(c, f))).Produces<DeletedObject>();
    }

    private async Task CreateAsync(HttpContext context)
    {
        var owner = context.Admission().Flow;
        if (await new FileUpload(blobs, settings).ReadAsync(context) is not { } upload) return;
        var isStored = false;
        try
        {
            var purpose = upload.Fields.GetValueOrDefault("purpose");
            if (purpose != BatchPurpose)
            {
                await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
                    $"purpose is {(purpose is null ? "missing" : $"'{purpose}'")}; expected '{BatchPurpose}'.",
                    param: "purpose");
                return;
            }

            if (await ReadKeepAsync(context, upload.Fields) is not { } keep) return;
            var id = $"file-{RandomNumberGenerator.GetHexString(32, lowercase: true)}";
            var put = await files.PutAsync(id, owner, purpose, upload.Name, upload.Writer!.Blob, keep,
                settings.Limits, context.RequestAborted);
            isStored = put.File is not null;
            if (put.File is { } file) await WriteAsync(context, FileObject.From(file));
            else await RejectAsync(context, put);
        }
        finally
        {
            // If the reply of Redis was lost, the record may exist. Its bytes must then be readable, so only the sweep
            // deletes them.
            if (!isStored && context.Response.StatusCode is >= 400 and < 500) blobs.Delete(upload.Writer!.Reference);
        }
    }

    /// <summary>Returns how long to keep the file. Null: an error response was written.</summary>
    private async Task<TimeSpan?> ReadKeepAsync(HttpContext context, Dictionary<string, string> fields)
    {
        if (!fields.TryGetValue("expires_after[seconds]", out var text)) return settings.Keep;
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds)
            && seconds is >= MinKeep and <= MaxKeep
            && fields.GetValueOrDefault("expires_after[anchor]") is "created_at")
            return TimeSpan.FromSeconds(seconds);
        await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
            $"expires_after has seconds '{text}' and anchor '{fields.GetValueOrDefault("expires_after[anchor]")}'; "
            + $"expected {MinKeep} to {MaxKeep} seconds and the anchor 'created_at'.", param: "expires_after");
        return null;
    }

    private Task RejectAsync(HttpContext context, FilePut put) => Problem.WriteAsync(context,
        StatusCodes.Status429TooManyRequests, put.Limit == "files"
            ? $"This key has {put.Held} files; expected at most {settings.Limits.Files}. Delete files that are not "
            + "needed."
            : $"The files of this key have {put.Held} bytes; with this file they would exceed {settings.Limits.Bytes} "
            + "bytes (SLUICE_FILES_KEY_MIB). Delete files that are not needed.", RetryDelay);

    private async Task ListAsync(HttpContext context)
    {
        if (await CursorPage.ReadAsync(context, MaxLimit, MaxLimit) is not { } page) return;
        var all = await files.ListAsync(context.Admission().Flow, context.RequestAborted);
        if (context.Request.Query["purpose"] is [{ Length: > 0 } purpose])
            all = [.. all.Where(f => f.Purpose == purpose)];
        if (context.Request.Query["order"] is ["asc"]) all = [.. all.Reverse()];
        if (page.Select(all, f => f.Id) is not { } part)
        {
            await page.WriteUnknownAsync(context);
            return;
        }

        await WriteAsync(context, new ListFilesResponse([.. part.Items.Select(FileObject.From)],
            part.Items is [var first, ..] ? first.Id : null, part.Items is [.., var last] ? last.Id : null,
            part.HasMore));
    }

    private async Task WriteContentAsync(HttpContext context, StoredFile file)
    {
        await using var content = await blobs.OpenAsync(file.Blob);
        context.Response.ContentType = "application/octet-stream";
        context.Response.ContentLength = file.Bytes;
        await content.CopyToAsync(context.Response.Body, context.RequestAborted);
    }

    private async Task DeleteAsync(HttpContext context, StoredFile file)
    {
        if (await batches.IsUsedAsync(file.Id, context.RequestAborted))
        {
            context.Response.Headers["x-should-retry"] = "false";
            await Problem.WriteAsync(context, StatusCodes.Status409Conflict,
                $"File '{file.Id}' is the input of a batch that has not ended. Cancel the batch first.", param: "id");
            return;
        }

        await files.DeleteAsync(file.Id, file.Owner, context.RequestAborted);
        await WriteAsync(context, new DeletedObject(file.Id, "file"));
    }

    private async Task WithFileAsync(HttpContext context, Func<StoredFile, Task> handle)
    {
        var id = (string)context.Request.RouteValues["id"]!;
        if (await files.FindAsync(id, context.Admission().Flow, context.RequestAborted) is { } file) await handle(file);
        else await Problem.WriteAsync(context, StatusCodes.Status404NotFound, $"This key has no file '{id}'.",
            param: "id");
    }

    private static Task WriteAsync<T>(HttpContext context, T value) =>
        context.Response.WriteAsJsonAsync(value, context.RequestAborted);
}
