using System.Text.Json;
using Sluice.Dispatch;

namespace Sluice.Gateway.Forwarding;

/// <summary>
/// Sends comments to a client that waits for a stream of text, so that the client and the proxies before it keep the
/// connection (<c>queue.keepAlive</c> of the endpoint). Clients of server-sent events ignore comments. Only a request
/// that asks for a stream, and whose body has arrived, gets them: the first one commits status and headers.
/// </summary>
internal sealed class WaitingStream(HttpContext context, ForwardState state, ReplayBody? body, TimeProvider time)
{
    /// <summary>The content type of a stream of events.</summary>
    public const string ContentType = "text/event-stream; charset=utf-8";

    private static readonly byte[] Comment = ": waiting for a worker\n\n"u8.ToArray();

    private bool? asksForStream;

    /// <summary>Waits for a slot.</summary>
    /// <param name="acquiring">The wait. It ends when the client disconnects.</param>
    public async Task<AcquireResult> WaitAsync(Task<AcquireResult> acquiring)
    {
        if (acquiring.IsCompleted || !state.IsRepeatable || state.Endpoint.Queue.KeepAlive == TimeSpan.Zero)
            return await acquiring;
        using var timer = new PeriodicTimer(state.Endpoint.Queue.KeepAlive, time);
        while (true)
        {
            var tick = timer.WaitForNextTickAsync().AsTask();
            if (await Task.WhenAny(acquiring, tick) == acquiring) return await acquiring;
            try
            {
                if (CanSend()) await context.Response.Body.WriteAsync(Comment, context.RequestAborted);
            }
            catch (Exception)
            {
                // The client has disconnected, or its body is invalid, which is reported when the body is forwarded.
                // The slot must be taken in any case: nothing else returns it.
                return await acquiring;
            }
        }
    }

    /// <summary>Returns whether a request of OpenAI's API asks for a stream.</summary>
    /// <param name="json">The body. If it is not a JSON object, the worker rejects it.</param>
    internal static bool AsksForStream(ReadOnlySpan<byte> json)
    {
        try
        {
            var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 512 });
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject) return false;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isStream = reader.ValueTextEquals("stream"u8);
                reader.Read();
                if (isStream) return reader.TokenType == JsonTokenType.True;
                reader.Skip();
            }
        }
        catch (JsonException)
        {
            // The worker names the error.
        }

        return false;
    }

    private bool CanSend()
    {
        if (context.Response.HasStarted) return true;
        if (body is null || asksForStream == false || !body.TryBuffer()) return false;
        body.Rewind();
        asksForStream = context.Request.Headers.ContentEncoding.ToString() is "" or "identity"
            && AsksForStream(body.Kept.Span);
        if (asksForStream == false) return false;
        context.Response.StatusCode = StatusCodes.Status200OK;
        context.Response.ContentType = ContentType;
        context.Response.Headers.CacheControl = "no-cache";
        context.Response.Headers["X-Request-Id"] = context.TraceIdentifier;
        return true;
    }
}
