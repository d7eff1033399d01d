using System.Globalization;
using Microsoft.AspNetCore.Http.Features;
using Sluice.ControlPlane.Machine;
using Sluice.Domain.Declarations;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Models.Cache;
using Sluice.Models.Downloads;
using Sluice.Models.Uploads;
using Sluice.Storage.Catalog;

namespace Sluice.Gateway.ModelUploads;

/// <summary>
/// <c>/api/v1/models</c>: uploads models, which endpoints name by <c>model://name/version</c>, and shows the models
/// that this node downloaded.
/// </summary>
public sealed partial class ModelsApi(UploadStore uploads, ModelStore node, CatalogWatcher catalog,
    ModelInspection inspection, TimeProvider time, ILogger<ModelsApi> logger)
{
    private const string Path = "/api/v1/models", One = Path + "/{name}/{version}";

    private readonly ILogger<ModelsApi> logger = logger;

    /// <summary>Maps the routes.</summary>
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapRoute("GET", Path, AccessLevel.Read,
            "List uploaded models with their versions, and the models that this node downloaded", List);
        routes.MapRoute("GET", One, AccessLevel.Read,
            "Get an uploaded version, or how many bytes of it were received", GetAsync).Produces<VersionView>();
        routes.MapRoute("PUT", One, AccessLevel.Admin,
            "Upload a version: an ONNX model or an archive (tar, tar.gz, zip), whole or in parts with Content-Range; "
                + "409 if it exists", PutAsync).Produces<VersionView>(201).Produces<VersionView>(202);
        routes.MapRoute("DELETE", One, AccessLevel.Admin,
            "Delete an uploaded version; 409 if an endpoint uses it", DeleteAsync).Produces(204);
    }

    private ModelLibrary List() => new(
        [.. uploads.List().GroupBy(v => v.Name).Select(g => new ModelView(g.Key, [.. g.Select(View)]))],
        [.. node.List().Select(m => new NodeModel(
            m.Model?.Source, m.Model?.Revision, m.Entry.Bytes, m.Entry.InUse, m.Entry.UsedAt))]);

    private Task GetAsync(HttpContext context, string name, string version) =>
        Find(name, version) is { } found ? WriteAsync(context, found) : WriteMissingAsync(context, name, version);

    private async Task PutAsync(HttpContext context, string name, string version)
    {
        if (await UploadRequest.ReadAsync(context) is not { } request) return;
        if (!UploadStore.IsName(name) || !UploadStore.IsName(version))
        {
            await RefuseAsync(context, StatusCodes.Status400BadRequest,
                $"The model is '{name}/{version}'; expected a name and a version with {UploadStore.NameForm}.");
            return;
        }

        using var owner = uploads.TryLock(name, version);
        if (owner is null)
        {
            await RefuseAsync(context, StatusCodes.Status409Conflict,
                $"Another request changes model '{name}/{version}' now.");
            return;
        }

        if (uploads.Find(name, version) is not null)
        {
            await RefuseAsync(context, StatusCodes.Status409Conflict,
                $"Model '{name}/{version}' exists. A version does not change: upload another version, or delete it.");
            return;
        }

        await ReceiveAsync(context, request, name, version);
    }

    private async Task ReceiveAsync(HttpContext context, UploadRequest request, string name, string version)
    {
        var upload = new ModelUpload(uploads, name, version, time);
        if (request.Range.From > upload.Received)
        {
            SetReceived(context, upload.Received);
            await RefuseAsync(context, StatusCodes.Status409Conflict,
                $"Content-Range begins at {request.Range.From}; expected at most {upload.Received}, the number of "
                + "bytes that were received.");
            return;
        }

        if (request.Range.Total > uploads.Settings.MaxBytes)
        {
            await WriteTooLargeAsync(context);
            return;
        }

        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } feature)
            feature.MaxRequestBodySize = uploads.Settings.MaxBytes;
        try
        {
            switch (await upload.WriteAsync(request.Range, context.Request.Body, context.RequestAborted))
            {
                case UploadResult.TooLarge:
                    upload.Discard();
                    await WriteTooLargeAsync(context);
                    break;
                case UploadResult.WrongLength:
                    SetReceived(context, upload.Received);
                    await RefuseAsync(context, StatusCodes.Status400BadRequest, "The body has another length than its "
                        + $"Content-Range; expected {request.Range.Length} bytes. Earlier parts are kept.");
                    break;
                case UploadResult.Stored when request.Range.IsLast:
                    await CompleteAsync(context, request, upload, name, version);
                    break;
                default:
                    SetReceived(context, upload.Received);
                    await WriteAsync(context, Find(name, version)!, StatusCodes.Status202Accepted);
                    break;
            }
        }
        catch (BadHttpRequestException e) when (e.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            upload.Discard();
            await WriteTooLargeAsync(context);
        }
        catch (ModelFailureException e)
        {
            upload.Discard();
            await RefuseAsync(
                context, StatusCodes.Status422UnprocessableEntity, $"Model '{name}/{version}': {e.Message}.");
        }
        catch (IOException e) when (DiskErrors.IsDiskFull(e))
        {
            upload.Discard();
            await RefuseAsync(context, StatusCodes.Status507InsufficientStorage,
                "The disk of SLUICE_MODEL_UPLOADS is full. What was received is deleted. Free space, then upload "
                + "again.");
        }
    }

    /// <summary>Unpacks, inspects and publishes what was received. Until then, the version is not visible.</summary>
    private async Task CompleteAsync(
        HttpContext context, UploadRequest request, ModelUpload upload, string name, string version)
    {
        var files = await upload.UnpackAsync(request.Sha256, context.RequestAborted);
        if (request.Inspects && await inspection.FindProblemAsync(files, context.RequestAborted) is { } problem)
            throw new ModelFailureException(problem.TrimEnd('.'));
        var made = upload.Publish(files);
        ModelUploaded(name, version, made.Bytes);
        context.Response.Headers.Location = $"{Path}/{name}/{version}";
        await WriteAsync(context, View(made), StatusCodes.Status201Created);
    }

    private async Task DeleteAsync(HttpContext context, string name, string version)
    {
        // Another gateway may have declared an endpoint a moment ago.
        await catalog.RefreshAsync(context.RequestAborted);
        if (UsedBy(name, version) is { Count: > 0 } users)
        {
            await Problem.WriteAsync(context, StatusCodes.Status409Conflict,
                $"Model '{name}/{version}' is used by {string.Join(", ", users)}. Delete these endpoints, or change "
                + "their model.source.");
            return;
        }

        if (Find(name, version) is null)
        {
            await WriteMissingAsync(context, name, version);
            return;
        }

        using var owner = uploads.TryLock(name, version);
        if (owner is null)
        {
            await Problem.WriteAsync(context, StatusCodes.Status409Conflict,
                $"Another request changes model '{name}/{version}' now.");
            return;
        }

        if (!uploads.TryDelete(name, version))
        {
            await Problem.WriteAsync(context, StatusCodes.Status409Conflict,
                $"Model '{name}/{version}' is used by a worker of an earlier declaration. Delete it after the worker "
                + "has stopped.");
            return;
        }

        ModelDeleted(name, version);
        context.Response.StatusCode = StatusCodes.Status204NoContent;
    }

    private VersionView? Find(string name, string version)
    {
        if (!UploadStore.IsName(name) || !UploadStore.IsName(version)) return null;
        if (uploads.Get(name, version) is { } complete) return View(complete);
        if (uploads.Received(name, version) is { } received) return Incomplete("uploading", received);
        if (uploads.Checking(name, version) is { } bytes) return Incomplete("checking", bytes);
        // It may have been published since the first look.
        return uploads.Get(name, version) is { } published ? View(published) : null;

        VersionView Incomplete(string state, long size) =>
            new(version, state, Source(name, version), size, null, null, UsedBy(name, version));
    }

    private VersionView View(UploadedVersion version) => new(version.Version, "ready",
        Source(version.Name, version.Version), version.Bytes, version.Files, version.UploadedAt,
        UsedBy(version.Name, version.Version));

    private IReadOnlyList<string> UsedBy(string name, string version) =>
    [
        .. catalog.Current.Deployments.Select(d => d.Endpoint)
            .Where(e => e.Model?.Source == Source(name, version)).Select(e => e.Id).Order(StringComparer.Ordinal),
    ];

    private static string Source(string name, string version) => $"{ModelSource.UploadedPrefix}{name}/{version}";

    /// <summary>Sets the range that was received, from which a client continues.</summary>
    private static void SetReceived(HttpContext context, long bytes)
    {
        if (bytes > 0)
            context.Response.Headers.Range = string.Create(CultureInfo.InvariantCulture, $"bytes=0-{bytes - 1}");
    }

    private Task WriteTooLargeAsync(HttpContext context) => RefuseAsync(context, StatusCodes.Status413PayloadTooLarge,
        $"The upload is too large; expected at most {uploads.Settings.MaxBytes} bytes (SLUICE_MODEL_UPLOAD_MIB).");

    private static Task RefuseAsync(HttpContext context, int status, string detail)
    {
        RequestBodyDrain.LetSend(context);
        return Problem.WriteAsync(context, status, detail);
    }

    private static Task WriteMissingAsync(HttpContext context, string name, string version) => Problem.WriteAsync(
        context, StatusCodes.Status404NotFound, $"The model '{name}/{version}' does not exist.");

    private static Task WriteAsync(HttpContext context, VersionView view, int status = StatusCodes.Status200OK)
    {
        context.Response.StatusCode = status;
        return context.Response.WriteAsJsonAsync(view, context.RequestAborted);
    }

    [LoggerMessage(LogLevel.Information, "Model {Name}/{Version} uploaded: {Bytes} bytes")]
    private partial void ModelUploaded(string name, string version, long bytes);

    [LoggerMessage(LogLevel.Information, "Model {Name}/{Version} deleted")]
    private partial void ModelDeleted(string name, string version);
}
