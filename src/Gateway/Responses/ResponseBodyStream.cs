using System.Text.Json.Nodes;
using Sluice.Gateway.Http;

namespace Sluice.Gateway.Responses;

/// <summary>
/// Takes the place of the response body while a chat request is forwarded, and writes the translated response to the
/// client. A stream is translated as it arrives: when a write returns, its events are with the client. So the forwarder
/// knows what the client has, and another worker can continue the stream. Everything else is held until its end.
/// </summary>
/// <param name="context">The request.</param>
/// <param name="client">The body of the client's response.</param>
/// <param name="isRequested">Whether the client requested a stream.</param>
/// <param name="create">Returns a new assembler: a request whose worker was lost starts again.</param>
/// <param name="store">
/// Stores a response that has ended, before the client has its end. Returns whether it is stored.
/// </param>
internal sealed class ResponseBodyStream(HttpContext context, Stream client, bool isRequested,
    Func<ResponseAssembler> create, Func<JsonObject, Task<bool>> store) : Stream
{
    /// <summary>Maximum bytes of an answer that is not a stream. The gateway holds it.</summary>
    private const int MaxHeld = 32 << 20;

    private readonly EventSplitter splitter = new();
    private readonly MemoryStream held = new();
    private ResponseAssembler assembler = create();
    private bool isStream;
    private bool hasBegun;

    public override bool CanRead => false;

    /// <summary>True, so that <c>HttpResponse.Clear</c> discards what is held.</summary>
    public override bool CanSeek => true;

    public override bool CanWrite => true;

    public override long Length => held.Length;

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer,
        CancellationToken cancellationToken = default)
    {
        if (!hasBegun) Begin();
        if (!isStream)
        {
            if (held.Length + buffer.Length > MaxHeld)
                throw new InvalidDataException($"it has more than {MaxHeld} bytes, which is the limit");
            held.Write(buffer.Span);
            return;
        }

        var events = splitter.Add(buffer.Span);
        // The forwarder keeps a stream open while it waits for a worker. From then on it knows that the client has a
        // part of the response, and errors become events.
        if (splitter.HasComment && events.Count == 0) await SendAsync([.. assembler.KeepAlive()], cancellationToken);
        foreach (var data in events) await TranslateAsync(data, cancellationToken);
    }

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Writes what is held, or the end of a stream that has none.</summary>
    public async Task FinishAsync()
    {
        var ct = context.RequestAborted;
        if (ct.IsCancellationRequested) return;
        if (isStream)
        {
            if (!assembler.IsEnded) await EndAsync(ct);
            return;
        }

        var body = held.ToArray();
        if (context.Response.StatusCode >= StatusCodes.Status400BadRequest)
        {
            await WriteHeldAsync(ResponseErrors.Translate(body), ct);
            return;
        }

        if (ResponseJson.Parse(body, out var why) is not { } chat)
        {
            context.Response.Clear();
            await Problem.WriteAsync(context, StatusCodes.Status502BadGateway,
                $"The response of the worker is not a chat completion: {why}");
            await WriteHeldAsync(held.ToArray(), ct);
            return;
        }

        assembler.Start();
        assembler.Add(chat);
        assembler.End();
        var response = assembler.ToObject();
        if (!await store(response)) response["store"] = false;
        context.Response.ContentType = "application/json";
        await WriteHeldAsync(ResponseJson.WriteBytes(response), ct);
    }

    /// <summary>Discards everything: the request starts again, or its response is an error.</summary>
    public override void SetLength(long value)
    {
        held.SetLength(0);
        splitter.Clear();
        assembler = create();
        isStream = false;
        hasBegun = false;
    }

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing) held.Dispose();
        base.Dispose(disposing);
    }

    private void Begin()
    {
        hasBegun = true;
        var response = context.Response;
        isStream = isRequested && response.StatusCode == StatusCodes.Status200OK
            && response.ContentType?.StartsWith("text/event-stream", StringComparison.OrdinalIgnoreCase) == true;
        if (!isStream) return;
        response.ContentLength = null;
        response.ContentType = ResponseEvents.ContentType;
    }

    private async Task TranslateAsync(byte[] data, CancellationToken ct)
    {
        if (assembler.IsEnded) return;
        if (data.AsSpan().SequenceEqual("[DONE]"u8))
        {
            await EndAsync(ct);
            return;
        }

        List<JsonObject> events = [.. assembler.IsStarted ? [] : assembler.Start()];
        events.AddRange(ResponseJson.Parse(data, out var why) is { } chunk
            ? assembler.Add(chunk)
            : assembler.Fail(null, $"The worker sent an event that is not valid: {why}"));
        await SendAsync(events, ct);
    }

    private Task EndAsync(CancellationToken ct) =>
        SendAsync([.. assembler.IsStarted ? [] : assembler.Start(), .. assembler.End()], ct);

    private async Task SendAsync(List<JsonObject> events, CancellationToken ct)
    {
        if (events.Count == 0) return;
        // Clients close the connection after the last event, so the response is stored before it.
        if (assembler.IsEnded && !await store(assembler.ToObject())) events[^1]["response"]!["store"] = false;
        await client.WriteAsync(ResponseEvents.Write(events), ct);
        await client.FlushAsync(ct);
    }

    private async Task WriteHeldAsync(byte[] body, CancellationToken ct)
    {
        context.Response.ContentLength = body.Length;
        await client.WriteAsync(body, ct);
    }
}
