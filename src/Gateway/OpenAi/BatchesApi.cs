using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Sluice.Domain.Batches;
using Sluice.Domain.Notation;
using Sluice.Domain.Schema;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Batches;
using Sluice.Gateway.Http;
using Sluice.Gateway.Tracing;
using Sluice.Storage.Batches;
using Sluice.Storage.Files;
using Sluice.Storage.Redis;

namespace Sluice.Gateway.OpenAi;

/// <summary>
/// <c>/v1/batches</c> of OpenAI's API: the lines of a file run as durable jobs of low priority
/// (<see cref="BatchScheduler"/>). A key sees only its own batches.
/// </summary>
public sealed partial class BatchesApi(
    BatchStore batches, FileStore files, BatchScheduler scheduler, RedisStore redis)
{
    private const int DefaultLimit = 20;
    private const int MaxLimit = 100;

    private static readonly TimeSpan MinWindow = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan MaxWindow = TimeSpan.FromDays(7);
    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(60);

    /// <summary>Maps the routes.</summary>
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapRoute("POST", "/v1/batches", AccessLevel.AuthenticatedKey,
            "Run the requests of an uploaded file as jobs of low priority", CreateAsync).Produces<BatchObject>();
        routes.MapRoute("GET", "/v1/batches", AccessLevel.AuthenticatedKey,
            "List the batches of the key, newest first; ?after=, ?limit=", ListAsync)
            .Produces<ListBatchesResponse>().WithMetadata(new Polled());
        routes.MapRoute("GET", "/v1/batches/{id}", AccessLevel.AuthenticatedKey, "Get a batch of the key",
            (HttpContext c) => WithBatchAsync(c, b => WriteAsync(c, b))).Produces<BatchObject>()
            .WithMetadata(new Polled());
        routes.MapRoute("POST", "/v1/batches/{id}/cancel", AccessLevel.AuthenticatedKey,
            "Cancel a batch; its output has the lines that have ended",
            (HttpContext c) => WithBatchAsync(c, b => CancelAsync(c, b))).Produces<BatchObject>();
    }

    private async Task CreateAsync(HttpContext context)
    {
        if (await JsonBody.ReadAsync(context) is not { } body) return;
        var admission = context.Admission();
        if (body.Node is not JsonObject request)
        {
            await RefuseAsync(context, null, "The body is not a JSON object.");
            return;
        }

        var endpoint = Text(request, "endpoint");
        if (endpoint is null || !BatchSettings.Endpoints.Contains(endpoint))
        {
            await RefuseAsync(context, "endpoint",
                $"endpoint is {Shown(request, "endpoint")}; expected one of "
                + $"{string.Join(", ", BatchSettings.Endpoints)}.");
            return;
        }

        var window = Text(request, "completion_window");
        if (window is null || !Duration.TryParse(window, out var time) || time < MinWindow || time > MaxWindow)
        {
            await RefuseAsync(context, "completion_window", $"completion_window is "
                + $"{Shown(request, "completion_window")}; expected {Duration.Expected}, from 1s to 7d.");
            return;
        }

        if (!TryMetadata(request["metadata"], out var metadata))
        {
            await RefuseAsync(context, "metadata",
                "metadata is not valid; expected an object of at most 16 texts, with names of at most 64 characters "
                + "and values of at most 512.");
            return;
        }

        if (!TryOutputSeconds(request["output_expires_after"], out var seconds))
        {
            await RefuseAsync(context, "output_expires_after", $"output_expires_after is "
                + $"{Shown(request, "output_expires_after")}; expected "
                + """{"anchor":"created_at","seconds":N} with 3600 to 2592000 seconds.""");
            return;
        }

        var file = Text(request, "input_file_id") is { } id
            ? await files.FindAsync(id, admission.Flow, context.RequestAborted) : null;
        if (file is not { Purpose: FilesApi.BatchPurpose })
        {
            await RefuseAsync(context, "input_file_id", $"input_file_id is {Shown(request, "input_file_id")}; expected "
                + "the id of a file of this key with the purpose 'batch'.");
            return;
        }

        var caller = admission.Caller!;
        await StoreAsync(context, file, time,
            new BatchRequest(endpoint, window, metadata, caller.Scope, caller.Limits.Weight, seconds));
    }

    private async Task StoreAsync(HttpContext context, StoredFile file, TimeSpan window, BatchRequest request)
    {
        if (await SchemaRefusal.RefuseAsync(context, redis.Schema, SchemaVersions.JobPaths, "Batches")) return;
        var id = $"batch_{Guid.CreateVersion7():N}";
        if (RequestTrace.Find(context)?.Server is { } span)
            request = request with { Trace = TraceText.Format(span.Context) };
        if (!await batches.CreateAsync(id, file, request.Write(), window, context.RequestAborted))
        {
            await Problem.WriteAsync(context, StatusCodes.Status429TooManyRequests,
                $"This key has {BatchStore.MostOpen} batches that have not ended, which is the limit.", RetryDelay);
            return;
        }

        scheduler.Wake();
        await WriteAsync(context, (await batches.FindAsync(id, context.RequestAborted))!);
    }

    private async Task ListAsync(HttpContext context)
    {
        if (await CursorPage.ReadAsync(context, DefaultLimit, MaxLimit) is not { } page) return;
        var (owner, ct) = (context.Admission().Flow, context.RequestAborted);
        if (page.Select(await batches.ListAsync(owner, ct), id => id) is not { } part)
        {
            await page.WriteUnknownAsync(context);
            return;
        }

        var states = await Task.WhenAll(part.Items.Select(id => batches.FindAsync(id, ct)));
        var expired = part.Items.Where((_, i) => states[i] is null).ToList();
        if (expired.Count > 0) await batches.UnlistAsync(owner, expired, ct);
        BatchObject[] data = [.. states.OfType<BatchState>().Select(BatchObject.From)];
        await context.Response.WriteAsJsonAsync(new ListBatchesResponse(data,
            data is [var first, ..] ? first.Id : null, data is [.., var last] ? last.Id : null, part.HasMore), ct);
    }

    private async Task CancelAsync(HttpContext context, BatchState batch)
    {
        var ct = context.RequestAborted;
        var moved = await batches.MoveAsync(batch.Id, "", BatchStatus.Cancellable, BatchStatus.Cancelling, ct);
        if (moved is not { Moved: true } and not { Status: BatchStatus.Cancelling })
        {
            context.Response.Headers["x-should-retry"] = "false";
            await Problem.WriteAsync(context, StatusCodes.Status409Conflict,
                $"The status of batch {batch.Id} is '{moved?.Status}'; expected one of "
                + $"{string.Join(", ", BatchStatus.Cancellable)}.");
            return;
        }

        scheduler.Wake();
        await WriteAsync(context, (await batches.FindAsync(batch.Id, ct))!);
    }

    private async Task WithBatchAsync(HttpContext context, Func<BatchState, Task> handle)
    {
        var id = (string)context.Request.RouteValues["id"]!;
        // The id is part of a Redis key, so only valid ids are looked up.
        var batch = Id().IsMatch(id) ? await batches.FindAsync(id, context.RequestAborted) : null;
        if (batch is not null && batch.Owner == context.Admission().Flow) await handle(batch);
        else await Problem.WriteAsync(context, StatusCodes.Status404NotFound, $"This key has no batch '{id}'.",
            param: "id");
    }

    private static string? Text(JsonObject request, string name) =>
        request[name] is JsonValue value && value.GetValueKind() == JsonValueKind.String ? (string?)value : null;

    private static string Shown(JsonObject request, string name)
    {
        if (request[name] is not { } value) return "missing";
        return $"'{QuotedText.Shorten(value.ToJsonString().Trim('"'), QuotedText.MostJson)}'";
    }

    private static bool TryMetadata(JsonNode? node, out Dictionary<string, string>? metadata)
    {
        metadata = null;
        if (node is null) return true;
        if (node is not JsonObject { Count: <= 16 } pairs
            || !pairs.All(p => p.Key.Length <= 64 && Text(pairs, p.Key) is { Length: <= 512 })) return false;
        metadata = pairs.ToDictionary(p => p.Key, p => Text(pairs, p.Key)!);
        return true;
    }

    private static bool TryOutputSeconds(JsonNode? node, out long seconds)
    {
        seconds = 0;
        if (node is null) return true;
        return node is JsonObject after && Text(after, "anchor") == "created_at" && after["seconds"] is JsonValue value
            && value.TryGetValue(out seconds) && seconds is >= 3600 and <= 30 * 86400;
    }

    private static Task RefuseAsync(HttpContext context, string? field, string error) =>
        Problem.WriteAsync(context, StatusCodes.Status400BadRequest, error, param: field);

    private static Task WriteAsync(HttpContext context, BatchState batch) =>
        context.Response.WriteAsJsonAsync(BatchObject.From(batch), context.RequestAborted);

    [GeneratedRegex("^batch_[0-9a-f]{32}\\z")]
    private static partial Regex Id();
}
