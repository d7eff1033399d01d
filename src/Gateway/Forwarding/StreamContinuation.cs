using System.Net;
using Sluice.Gateway.Http;
using Yarp.ReverseProxy.Forwarder;

namespace Sluice.Gateway.Forwarding;

/// <summary>
/// Asks a worker for the rest of a stream whose worker was lost, and sends it to the client. The response of the client
/// has started, which YARP does not allow, so the exchange has its own code.
/// </summary>
/// <param name="context">The request.</param>
/// <param name="state">The state, with a stream.</param>
/// <param name="body">The body of the client.</param>
internal sealed class StreamContinuation(HttpContext context, ForwardState state, ReadOnlyMemory<byte> body)
{
    private const int CopyBytes = 16 << 10;

    /// <summary>The events that end a stream of the OpenAI API with an error. Clients raise the error.</summary>
    /// <param name="context">The request.</param>
    /// <param name="status">The status that a response would have.</param>
    /// <param name="detail">The error text.</param>
    public static async Task SendErrorAsync(HttpContext context, int status, string detail)
    {
        byte[] events =
            [.. "data: "u8, .. Problem.Serialize(context, status, detail), .. "\n\ndata: [DONE]\n\n"u8];
        await context.Response.Body.WriteAsync(events, context.RequestAborted);
    }

    /// <summary>Sends the rest of the stream, as far as the worker sends it.</summary>
    /// <param name="client">The client for the worker's protocol.</param>
    /// <param name="run">Ends the exchange when the request has run for too long.</param>
    public async Task<ForwardResult> SendAsync(HttpMessageInvoker client, CancellationTokenSource run)
    {
        var stream = state.Stream!;
        stream.Restart();
        using var activity = CancellationTokenSource.CreateLinkedTokenSource(run.Token, context.RequestAborted);
        activity.CancelAfter(state.Endpoint.Forwarding.ActivityTimeout);
        try
        {
            var transformer = new WorkerTransformer(state);
            using var request = await CreateRequestAsync(transformer, stream, activity.Token);
            using var response = await client.SendAsync(request, activity.Token);
            if (FindRefusal(response) is { } refusal) return refusal;
            await CopyAsync(response, stream, activity);
            if (stream.Failure is { } failure) return Lost(failure);
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
            return Lost(e);
        }
    }

    private async Task<HttpRequestMessage> CreateRequestAsync(
        WorkerTransformer transformer, ResumableStream stream, CancellationToken ct)
    {
        var worker = state.Worker!;
        var request = new HttpRequestMessage(HttpMethod.Post, (Uri?)null)
        {
            Content = new ContinuationContent(stream.Marks, body),
            Version = WorkerClients.VersionOf(worker.Protocol),
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        await transformer.TransformRequestAsync(context, request, worker.Prefix, ct);
        request.Content.Headers.ContentLength = stream.Marks.Length + body.Length;
        return request;
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

    private async Task CopyAsync(HttpResponseMessage response, ResumableStream stream, CancellationTokenSource activity)
    {
        var timeout = state.Endpoint.Forwarding.ActivityTimeout;
        await using var events = new MarkedEvents(await response.Content.ReadAsStreamAsync(activity.Token), stream);
        var buffer = new byte[CopyBytes];
        while (await events.ReadAsync(buffer, activity.Token) is var count and > 0)
        {
            activity.CancelAfter(timeout);
            await context.Response.Body.WriteAsync(buffer.AsMemory(0, count), activity.Token);
            activity.CancelAfter(timeout);
        }
    }

    private ForwardResult Lost(Exception e) => new(
        ForwardOutcome.WorkerLost,
        $"The connection to {WorkerForwarder.NameOf(state)} failed in a stream, in attempt {state.Attempts}.",
        Unseen: ExchangeFailures.Classify(e) == ExchangeFailure.NotConnected) { WorkerBroke = true };
}
