using System.Text.Json.Nodes;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Gateway.Responses;
using Sluice.Gateway.Selection;

namespace Sluice.Gateway.OpenAi;

/// <summary>
/// <c>/v1/responses</c> of OpenAI's API. A request becomes a request of chat completions, and the answer of the worker
/// becomes the response, so any worker that serves chat completions serves it.
/// </summary>
public sealed class ResponsesApi(ResponseCreation creation, StoredResponses responses,
    BackgroundResponses background, ResponseStream stream, ILogger<ResponsesApi> logger)
{
    private const int DefaultLimit = 20;
    private const int MaxLimit = 100;

    /// <summary>Maps the routes.</summary>
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapRoute("POST", "/v1/responses", AccessLevel.Invoke,
            "Answer a conversation with items, whole or as a stream of events", CreateAsync)
            .Produces<ResponseObject>()
            .WithMetadata(new JsonBodySelector("model", ResponseCreation.MaxBodyBytes),
            new GatewayExceptionHandler.Relayed(), SharesWithCanaries.Instance);
        routes.MapRoute("GET", "/v1/responses/{id}", AccessLevel.AuthenticatedKey,
            "Get a stored response of the key; ?stream=true&starting_after=N continues its stream",
            (HttpContext c) => WithRecordAsync(c, r => GetAsync(c, r))).Produces<ResponseObject>()
            .WithMetadata(new Polled());
        routes.MapRoute("POST", "/v1/responses/{id}/cancel", AccessLevel.AuthenticatedKey,
            "Cancel a response in the background", (HttpContext c) => WithRecordAsync(c, r => CancelAsync(c, r)))
            .Produces<ResponseObject>();
        routes.MapRoute("GET", "/v1/responses/{id}/input_items", AccessLevel.AuthenticatedKey,
            "List the items that preceded a response, newest first; ?order=asc, ?after=, ?limit=",
            (HttpContext c) => WithRecordAsync(c, r => ListAsync(c, r))).Produces<ListResponseItems>()
            .WithMetadata(new Polled());
        routes.MapRoute("DELETE", "/v1/responses/{id}", AccessLevel.AuthenticatedKey,
            "Delete a stored response of the key", (HttpContext c) => WithRecordAsync(c, r => DeleteAsync(c, r)))
            .Produces<DeletedObject>();
    }

    private async Task CreateAsync(HttpContext context)
    {
        try
        {
            await creation.CreateAsync(context);
        }
        catch (ResponseFaultException e)
        {
            await Problem.WriteAsync(context, e.Status, e.Message, param: e.Param);
        }
        catch (Exception e)
        {
            await GatewayExceptionHandler.AnswerAsync(context, e, logger);
        }
    }

    private async Task WithRecordAsync(HttpContext context, Func<ResponseRecord, Task> handle)
    {
        var id = (string)context.Request.RouteValues["id"]!;
        if (await responses.FindAsync(id, context.Admission().Flow, context.RequestAborted) is { } record)
            await handle(record);
        else await WriteUnknownAsync(context, id);
    }

    private static Task WriteUnknownAsync(HttpContext context, string id) =>
        Problem.WriteAsync(context, StatusCodes.Status404NotFound,
            $"This key has no response '{id}', or its time has passed.", param: "id");

    private async Task GetAsync(HttpContext context, ResponseRecord record)
    {
        var streamed = context.Request.Query["stream"].ToString();
        if (streamed is not ("" or "true" or "false"))
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
                $"stream is '{streamed}'; expected 'true' or 'false'.", param: "stream");
            return;
        }

        if (streamed != "true")
        {
            await WriteNowAsync(context, record);
            return;
        }

        if (record.Job is not { IsStreamed: true })
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
                "stream is 'true'; expected 'false': only a response that was created with 'background' and 'stream' "
                + "has a stream that can be read again.", param: "stream");
            return;
        }

        if (await ResponseStream.ReadCursorAsync(context) is { } after) await stream.SendAsync(context, record, after);
    }

    /// <summary>Writes a response as it is now.</summary>
    private async Task WriteNowAsync(HttpContext context, ResponseRecord record)
    {
        if (await background.ReadAsync(record, context.RequestAborted) is { } response)
            await WriteAsync(context, response);
        else await WriteUnknownAsync(context, record.Id);
    }

    private async Task CancelAsync(HttpContext context, ResponseRecord record)
    {
        if (record.Job is not { } job)
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
                $"Response '{record.Id}' was not created with 'background', so it cannot be cancelled.", param: "id");
            return;
        }

        await background.CancelAsync(job);
        await WriteNowAsync(context, record);
    }

    private async Task DeleteAsync(HttpContext context, ResponseRecord record)
    {
        if (record.Job is { } job) await background.DeleteAsync(job);
        await responses.DeleteAsync(record.Id, context.Admission().Flow, context.RequestAborted);
        await context.Response.WriteAsJsonAsync(new DeletedObject(record.Id, "response"), context.RequestAborted);
    }

    private static async Task ListAsync(HttpContext context, ResponseRecord record)
    {
        if (await CursorPage.ReadAsync(context, DefaultLimit, MaxLimit) is not { } page) return;
        var items = record.Items.Select(i => i!).ToList();
        var order = context.Request.Query["order"] is [{ Length: > 0 } given] ? given : "desc";
        if (order is not ("asc" or "desc"))
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
                $"order is '{order}'; expected 'asc' or 'desc'.", param: "order");
            return;
        }

        if (order == "desc") items.Reverse();
        if (page.Select(items, IdOf) is not { } part)
        {
            await page.WriteUnknownAsync(context);
            return;
        }

        await WriteAsync(context, new JsonObject
        {
            ["object"] = "list",
            ["data"] = new JsonArray([.. part.Items.Select(i => i.DeepClone())]),
            ["first_id"] = part.Items is [var first, ..] ? IdOf(first) : null,
            ["last_id"] = part.Items is [.., var last] ? IdOf(last) : null,
            ["has_more"] = part.HasMore,
        });
    }

    private static string IdOf(JsonNode item) => ResponseJson.Text(ResponseJson.Field(item, "id")) ?? "";

    private static async Task WriteAsync(HttpContext context, JsonObject value)
    {
        var body = ResponseJson.WriteBytes(value);
        if (PollCharge.Find(context) is { } charge)
            await charge.TakeAsync(body.Length, PollCharge.Bytes, context.RequestAborted);
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = body.Length;
        await context.Response.Body.WriteAsync(body, context.RequestAborted);
    }
}
