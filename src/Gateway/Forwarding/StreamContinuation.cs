using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Gateway.Http;
using Sluice.Gateway.Tokens;
using Yarp.ReverseProxy.Forwarder;

namespace Sluice.Gateway.Forwarding;

/// <summary>
/// Asks a worker for a stream, or for the rest of a stream whose worker was lost, and sends it to the client. The
/// response of the client has started, which YARP does not allow, so the exchange has its own code.
/// </summary>
/// <param name="context">The request.</param>
/// <param name="state">The state; without a stream, the client has only comments (<see cref="WaitingStream"/>).</param>
/// <param name="body">The whole body of the client.</param>
internal sealed class StreamContinuation(HttpContext context, ForwardState state, ReadOnlyMemory<byte> body)
{
    private const int CopyBytes = 16 << 10;

    /// <summary>Maximum number of bytes of a worker's error response.</summary>
    private const int MaxErrorBytes = 64 << 10;

    /// <summary>Whether the client has bytes of a stream that cannot be continued.</summary>
    private bool isPlainBegun;

    /// <summary>The events that end a stream of the OpenAI API with an error. Clients raise the error.</summary>
    /// <param name="context">The request.</param>
    /// <param name="status">The status that a response would have.</param>
    /// <param name="detail">The error text.</param>
    public static Task SendErrorAsync(HttpContext context, int status, string detail) =>
        SendErrorAsync(context, Problem.Serialize(context, status, detail));

    /// <summary>Sends the stream or its rest, as far as the worker sends it.</summary>
    /// <param name="client">The client for the worker's protocol.</param>
    /// <param name="run">Ends the exchange when the request has run for too long.</param>
    public async Task<ForwardResult> SendAsync(HttpMessageInvoker client, CancellationTokenSource run)
    {
        state.Stream?.Restart();
        using var activity = CancellationTokenSource.CreateLinkedTokenSource(run.Token, context.RequestAborted);
        activity.CancelAfter(state.Endpoint.Forwarding.ActivityTimeout);
        try
        {
            var transformer = new WorkerTransformer(state);
            using var request = await CreateRequestAsync(transformer, activity.Token);
            using var response = await client.SendAsync(request, activity.Token);
            if (state.Stream is { } stream)
            {
                if (FindRefusal(response) is { } refusal) return refusal;
                transformer.ReadUsage(response);
                response.Content = new WrappedContent(response.Content, events => new MarkedEvents(events, stream));
            }
            else if (await BeginAsync(transformer, response, activity.Token) is { } ended)
                return ended;

            await CopyAsync(response, activity);
            if (state.Stream?.Failure is { } failure) return Lost(failure);
            await transformer.TransformResponseTrailersAsync(context, response, activity.Token);
            return new ForwardResult(ForwardOutcome.Answered);
        }
        catch (Exception) when (context.RequestAborted.IsCancellationRequested)
        {
            return new ForwardResult(ForwardOutcome.ClientGone);
        }
        catch (OperationCanceledException)
        {
            return WorkerForwarder.TimeoutResult(state, run) with { WorkerBroke = true };
        }
        catch (InvalidDataException e)
        {
            return new ForwardResult(ForwardOutcome.WorkerAnswerInvalid, e.Message);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            if (!isPlainBegun) return Lost(e);
            // The client has a part. An aborted connection shows that the rest is missing.
            context.Abort();
            return new ForwardResult(ForwardOutcome.CutShort) { WorkerBroke = true };
        }
    }

    private static async Task SendErrorAsync(HttpContext context, ReadOnlyMemory<byte> error)
    {
        byte[] events = [.. "data: "u8, .. error.Span, .. "\n\ndata: [DONE]\n\n"u8];
        await context.Response.Body.WriteAsync(events, context.RequestAborted);
    }

    private async Task<HttpRequestMessage> CreateRequestAsync(WorkerTransformer transformer, CancellationToken ct)
    {
        var worker = state.Worker!;
        var marks = state.Stream?.Marks ?? default;
        var request = new HttpRequestMessage(HttpMethod.Post, (Uri?)null)
        {
            Content = new ContinuationContent(marks, body),
            Version = WorkerClients.VersionOf(worker.Protocol),
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        await transformer.TransformRequestAsync(context, request, worker.Prefix, ct);
        request.Content.Headers.ContentLength = marks.Length + body.Length;
        return request;
    }

    /// <summary>
    /// Begins a stream of which the client has only comments. Returns the result if the worker sends no stream. The
    /// headers of the response are sent already, so the times of the start are in a comment.
    /// </summary>
    private async Task<ForwardResult?> BeginAsync(
        WorkerTransformer transformer, HttpResponseMessage response, CancellationToken ct)
    {
        if (transformer.FindFault(response, isHead: false, isUpgrade: false) is { } fault)
            return new ForwardResult(ForwardOutcome.WorkerAnswerInvalid, fault);
        var type = response.Content.Headers.ContentType?.MediaType;
        if (response.IsSuccessStatusCode && type != "text/event-stream")
            return new ForwardResult(ForwardOutcome.WorkerAnswerInvalid,
                $"The response of {WorkerForwarder.NameOf(state)} has the content type '{type}'; expected "
                + "text/event-stream, because the request asks for a stream.");
        var timing = Encoding.UTF8.GetBytes($": Server-Timing: {transformer.TimingOf(response)}\n\n");
        await context.Response.Body.WriteAsync(timing, ct);
        transformer.ReplaceContent(context, response);
        if (response.IsSuccessStatusCode) return null;
        // An error uses nothing, unless the worker reports it.
        state.Usage ??= default(TokenUsage);
        await SendErrorAsync(context, await ReadErrorAsync(response, ct));
        return new ForwardResult(ForwardOutcome.Answered);
    }

    /// <summary>Returns a worker's error as one line of JSON, in the form of OpenAI's API.</summary>
    private async Task<ReadOnlyMemory<byte>> ReadErrorAsync(HttpResponseMessage response, CancellationToken ct)
    {
        var text = new byte[MaxErrorBytes];
        var read = await (await response.Content.ReadAsStreamAsync(ct))
            .ReadAtLeastAsync(text, text.Length, throwOnEndOfStream: false, ct);
        try
        {
            if (JsonNode.Parse(text.AsSpan(0, read)) is JsonObject error && error.ContainsKey("error"))
                return Encoding.UTF8.GetBytes(error.ToJsonString());
        }
        catch (JsonException)
        {
            // Not the form of OpenAI's API.
        }

        return Problem.Serialize(context, (int)response.StatusCode, Encoding.UTF8.GetString(text.AsSpan(0, read)));
    }

    /// <summary>
    /// Returns why a worker does not continue the stream. If it is only busy or fails, another attempt can succeed.
    /// </summary>
    private ForwardResult? FindRefusal(HttpResponseMessage response)
    {
        if (response.StatusCode == HttpStatusCode.OK
            && response.Headers.NonValidated.TryGetValues(ResumableStream.Header, out var announced)
            && announced.ToString() == state.Stream!.Announced)
            return null;
        var detail = $"{WorkerForwarder.NameOf(state)} did not continue the stream: its response has status "
            + $"{(int)response.StatusCode}.";
        return new ForwardResult(
            response.StatusCode is HttpStatusCode.TooManyRequests or >= HttpStatusCode.InternalServerError
                ? ForwardOutcome.WorkerLost
                : ForwardOutcome.WorkerAnswerInvalid,
            detail);
    }

    private async Task CopyAsync(HttpResponseMessage response, CancellationTokenSource activity)
    {
        var timeout = state.Endpoint.Forwarding.ActivityTimeout;
        await using var events = await response.Content.ReadAsStreamAsync(activity.Token);
        var buffer = new byte[CopyBytes];
        while (await events.ReadAsync(buffer, activity.Token) is var count and > 0)
        {
            activity.CancelAfter(timeout);
            isPlainBegun = state.Stream is null;
            await context.Response.Body.WriteAsync(buffer.AsMemory(0, count), activity.Token);
            activity.CancelAfter(timeout);
        }
    }

    private ForwardResult Lost(Exception e) => new(
        ForwardOutcome.WorkerLost,
        $"The connection to {WorkerForwarder.NameOf(state)} failed in a stream, in attempt {state.Attempts}.",
        Unseen: ExchangeFailures.Classify(e) == ExchangeFailure.NotConnected) { WorkerBroke = true };
}
