using System.Buffers;
using System.IO.Pipelines;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http.Features;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Jobs;
using Sluice.Gateway.Relay;

namespace Sluice.Gateway.Responses;

/// <summary>
/// Handles <c>POST /v1/responses</c>: forwards the translated request to a worker, and stores the response, or queues
/// it as a job.
/// </summary>
public sealed class ResponseCreation(EndpointRelay relay, StoredResponses responses, BackgroundResponses background,
    ResponseStream stream, JobBodyReader bodies, TimeProvider time)
{
    /// <summary>The path of workers that serves responses.</summary>
    public const string ChatPath = "/v1/chat/completions";

    /// <summary>
    /// Maximum bytes of a body. The gateway parses it; images, which make bodies large, are not served.
    /// </summary>
    internal const long MaxBodyBytes = 16L << 20;

    /// <summary>Creates a response.</summary>
    /// <exception cref="ResponseFaultException">The request is not valid.</exception>
    public async Task CreateAsync(HttpContext context)
    {
        if (await ReadAsync(context) is not { } request) return;
        var isAnonymous = context.Admission().Caller is null;
        if (isAnonymous && request.PreviousId is not null)
            throw new ResponseFaultException("previous_response_id",
                "'previous_response_id' needs an API key: responses belong to the key that created them.");
        if (isAnonymous && request.IsBackground)
            throw new ResponseFaultException("background",
                "'background' is 'true', which needs an API key: responses belong to the key that created them.");
        var items = await ConversationAsync(context, request);
        var chat = request.ToChat(items.Select(i => i!));
        var id = $"resp_{RandomNumberGenerator.GetHexString(32, lowercase: true)}";
        var created = time.GetUtcNow().ToUnixTimeSeconds();
        var echo = request.Echo();
        if (isAnonymous) echo["store"] = false;
        foreach (var item in request.Input) items.Add(item!.DeepClone());
        ResponseItems.AddIds(items, id);
        if (request.IsBackground)
        {
            var first = new ResponseAssembler(id, created, echo);
            first.Queue();
            if (await background.CreateAsync(context, request, chat, first.ToObject(), items) is not { } record) return;
            if (request.IsStreamed) await stream.SendAsync(context, record, after: -1);
            else await WriteAsync(context, record.Response);
            return;
        }

        await ForwardAsync(context, chat, request.IsStreamed, () => new ResponseAssembler(id, created, echo),
            async response => !request.IsStored || isAnonymous
                || await responses.TryStoreAsync(new ResponseRecord(response, items), context.Admission().Flow));
    }

    /// <summary>Reads the request. Null: an error response was written.</summary>
    private async Task<ResponseRequest?> ReadAsync(HttpContext context)
    {
        using var body = await bodies.ReadAsync(context, MaxBodyBytes, "");
        if (body is null) return null;
        return new ResponseRequest(ResponseJson.Parse(body.Bytes.ToArray(), out var why)
            ?? throw new ResponseFaultException("", $"The body is not a valid JSON object: {why}"));
    }

    /// <summary>Returns the items of the conversation that the request continues.</summary>
    private async Task<JsonArray> ConversationAsync(HttpContext context, ResponseRequest request)
    {
        if (request.PreviousId is not { } previous) return [];
        var record = await responses.FindAsync(previous, context.Admission().Flow, context.RequestAborted)
            ?? throw new ResponseFaultException("previous_response_id",
                $"This key has no response '{previous}', or its time has passed.", StatusCodes.Status404NotFound);
        var response = await background.ReadAsync(record, context.RequestAborted)
            ?? throw new ResponseFaultException("previous_response_id",
                $"The time of response '{previous}' has passed.", StatusCodes.Status404NotFound);
        if (ResponseJson.Text(response["status"]) is "queued" or "in_progress")
            throw new ResponseFaultException("previous_response_id", $"The status of response '{previous}' is "
                + $"'{response["status"]}'; expected a response that has ended.");
        return record.Conversation(response);
    }

    private static async Task WriteAsync(HttpContext context, JsonObject response)
    {
        var body = ResponseJson.WriteBytes(response);
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = body.Length;
        await context.Response.Body.WriteAsync(body, context.RequestAborted);
    }

    private async Task ForwardAsync(HttpContext context, JsonObject chat, bool isStreamed,
        Func<ResponseAssembler> create, Func<JsonObject, Task<bool>> store)
    {
        var bytes = ResponseJson.WriteBytes(chat);
        context.Features.Get<IHttpRequestFeature>()!.RawTarget = ChatPath;
        var request = context.Request;
        request.Path = ChatPath;
        request.QueryString = default;
        request.Headers.Remove("Transfer-Encoding");
        // The gateway reads the answer.
        request.Headers.Remove("Accept-Encoding");
        request.ContentType = "application/json";
        request.ContentLength = bytes.Length;
        request.Body = new MemoryStream(bytes);
        context.Features.Set<IRequestBodyPipeFeature>(new ArrivedBody(bytes));
        var client = context.Response.Body;
        await using var translated = new ResponseBodyStream(context, client, isStreamed, create, store);
        context.Response.Body = translated;
        try
        {
            await relay.SendAsync(context, skip: 0);
            await translated.FinishAsync();
        }
        finally
        {
            context.Response.Body = client;
        }
    }

    /// <summary>
    /// A body that has arrived. A pipe over a stream needs a wait before it returns bytes, and while a request waits
    /// for a worker, the forwarder reads what has arrived without one.
    /// </summary>
    private sealed class ArrivedBody(byte[] bytes) : IRequestBodyPipeFeature
    {
        public PipeReader Reader { get; } = PipeReader.Create(new ReadOnlySequence<byte>(bytes));
    }
}
