using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http.Features;
using Sluice.Core.Jobs;
using Sluice.Gateway.Api;
using Sluice.Gateway.Auth;
using Sluice.Gateway.Jobs;

namespace Sluice.Gateway.Streaming;

/// <summary>
/// A job's stream in two forms. JSON, as RunPod's clients read it: each response has an array <c>stream</c> with the chunks since the last response
/// (or since <c>?cursor=</c>), and the job's status, which is not final while chunks remain. Server-sent events: each chunk is a <c>message</c>
/// event (the default type, which <c>EventSource.onmessage</c> receives) with its index as id, and the last event is <c>done</c>. A reader that
/// reconnects with <c>Last-Event-ID</c>, at any gateway, continues after that event. A reader that already has <c>done</c> gets 204, which stops
/// an <c>EventSource</c> (HTML Standard, 9.2.2).
/// </summary>
public sealed class JobStreamApi(JobReader reader, JobStreams streams, JobSignals signals, IHostApplicationLifetime lifetime, TimeProvider time)
{
    /// <summary>Held when a client names no wait: JavaScript's polls without a pause, Python's gives up after 10 s.</summary>
    private static readonly TimeSpan DefaultHold = TimeSpan.FromSeconds(5);

    /// <summary>Below every proxy's idle timeout.</summary>
    private static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(15);

    /// <summary>The id of <c>done</c> is the number of chunks and this.</summary>
    private const string DoneSuffix = "-done";

    public async Task StreamAsync(HttpContext context)
    {
        if (await reader.FindAsync(context, TimeSpan.Zero) is not { } job) return;
        if (context.Request.GetTypedHeaders().Accept.Any(a => a.MediaType == "text/event-stream")) await EventsAsync(context, job);
        else await DrainAsync(context, job);
    }

    private async Task DrainAsync(HttpContext context, Job job)
    {
        var wait = context.Request.Query.ContainsKey("wait") ? JobsApi.WaitOf(context) : DefaultHold;
        if (wait is not { } hold)
        {
            await JobsApi.BadWaitAsync(context);
            return;
        }

        if (!TryIndex(context.Request.Query["cursor"], out var cursor))
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
                $"cursor is '{context.Request.Query["cursor"]}', expected the cursor of an earlier answer, or 0");
            return;
        }

        using var watch = signals.Watch(job.EndpointId, job.Id);
        var started = time.GetTimestamp();
        while (true)
        {
            var part = await ReadAsync(context, job, cursor);
            var left = hold - time.GetElapsedTime(started);
            if (part.Chunks.Count > 0 || part.IsLast || left <= TimeSpan.Zero || lifetime.ApplicationStopping.IsCancellationRequested)
            {
                await WritePartAsync(context, job, part);
                return;
            }

            await watch.ChangedAsync(left, context.RequestAborted);
        }
    }

    /// <summary>The next part, when the caller's key may have so many bytes.</summary>
    private async Task<JobPart> ReadAsync(HttpContext context, Job job, int? from)
    {
        var part = await streams.ReadAsync(job.EndpointId, job.Id, from, signals.Watcher, context.RequestAborted);
        if (PollCharge.Of(context) is { } charge) await charge.TakeAsync(part.Chunks.Sum(c => (long)c.Length), PollCharge.Bytes, context.RequestAborted);
        return part;
    }

    private async Task WritePartAsync(HttpContext context, Job job, JobPart part)
    {
        context.Response.ContentType = "application/json";
        context.Response.Headers.CacheControl = "no-store";
        await using var json = new Utf8JsonWriter(context.Response.BodyWriter, JobView.Options);
        json.WriteStartObject();
        json.WriteString("id", job.Id);
        // Clients stop at the first final status: it is not told while anything remains.
        json.WriteString("status", JobStatus.IsFinal(part.Status) && !part.IsLast ? JobStatus.Running : part.Status);
        json.WriteStartArray("stream");
        foreach (var chunk in part.Chunks)
        {
            json.WriteStartObject();
            json.WritePropertyName("output");
            json.WriteRawValue(chunk, skipInputValidation: true);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteNumber("cursor", part.Next);
        if (part is { IsLast: true, Status: JobStatus.Failed or JobStatus.TimedOut or JobStatus.Cancelled }
            && await reader.WaitAsync(job.EndpointId, job.Id, TimeSpan.Zero, context.RequestAborted) is { Error: { } error })
            json.WriteString("error", error.Message);
        json.WriteEndObject();
        await json.FlushAsync(context.RequestAborted);
    }

    private async Task EventsAsync(HttpContext context, Job job)
    {
        var last = context.Request.Headers["Last-Event-ID"];
        var hasDone = last.Count == 1 && last[0]!.EndsWith(DoneSuffix, StringComparison.Ordinal);
        if (!TryIndex(hasDone ? last[0]![..^DoneSuffix.Length] : last, out var after) || (hasDone && after is null))
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest, $"Last-Event-ID is '{last}', expected the id of an event of this stream");
            return;
        }

        // 'done' is after the last chunk. A job that was retried since may have chunks at that index.
        var next = after is not { } seen ? 0 : hasDone ? seen : seen + 1;
        using var watch = signals.Watch(job.EndpointId, job.Id);
        var part = await ReadAsync(context, job, next);
        if (part.IsLast && hasDone && next >= part.Total)
        {
            context.Response.StatusCode = StatusCodes.Status204NoContent;
            return;
        }

        Begin(context);
        var quiet = time.GetTimestamp();
        while (true)
        {
            for (var i = 0; i < part.Chunks.Count; i++) WriteEvent(context, (part.First + i).ToString(CultureInfo.InvariantCulture), null, part.Chunks[i]);
            next = Math.Max(next, part.Next);
            if (part.Status.Length == 0 || part.Expired)
            {
                await DataDeletedAsync(context, job);
                return;
            }

            if (part.IsLast)
            {
                await EndAsync(context, job, part.Total);
                return;
            }

            if (part.Chunks.Count > 0) quiet = time.GetTimestamp();
            else if (time.GetElapsedTime(quiet) >= Heartbeat)
            {
                // Without an empty line, which some clients deliver as an empty event.
                context.Response.BodyWriter.Write(": still here\n"u8);
                quiet = time.GetTimestamp();
            }

            await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
            if (part.Next >= part.Total) await watch.ChangedAsync(Heartbeat, context.RequestAborted);
            if (lifetime.ApplicationStopping.IsCancellationRequested)
            {
                // A response that ends normally looks complete to curl and fetch. An aborted one is an error, and an EventSource reconnects.
                context.Abort();
                return;
            }

            part = await ReadAsync(context, job, next);
        }
    }

    /// <summary>The last events: <c>error</c> with a structured reason where there is one, then <c>done</c> with the job's final status.</summary>
    private async Task EndAsync(HttpContext context, Job job, int chunks)
    {
        var end = await reader.WaitAsync(job.EndpointId, job.Id, TimeSpan.Zero, context.RequestAborted);
        if (end?.Error is { } error)
            WriteEvent(context, null, "error", Json(json =>
            {
                json.WriteString("status", end.Status);
                json.WriteString("code", error.Code);
                json.WriteString("message", error.Message);
                json.WriteBoolean("retryable", error.Retryable);
            }));
        WriteEvent(context, string.Create(CultureInfo.InvariantCulture, $"{chunks}{DoneSuffix}"), "done", Json(json =>
        {
            json.WriteString("id", job.Id);
            json.WriteString("status", end?.Status ?? job.Status);
        }));
        await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
    }

    /// <summary>The job's data was deleted before this reader had all of it. There is no <c>done</c>: the stream is not complete.</summary>
    private static async Task DataDeletedAsync(HttpContext context, Job job)
    {
        WriteEvent(context, null, "error", Json(json =>
        {
            json.WriteString("status", job.Status);
            json.WriteString("code", "DATA_DELETED");
            json.WriteString("message", $"The data of job {job.Id} was deleted before its stream was read to the end. Increase jobs.retention.");
            json.WriteBoolean("retryable", false);
        }));
        await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
        context.Abort();
    }

    private static void Begin(HttpContext context)
    {
        context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        context.Response.ContentType = "text/event-stream; charset=utf-8";
        context.Response.Headers.CacheControl = "no-cache, no-transform";
        context.Response.Headers["X-Accel-Buffering"] = "no";
        // A reader whose connection breaks reconnects after a second. It belongs to the first event: an empty line would end an event of its own.
        context.Response.BodyWriter.Write("retry: 1000\n"u8);
    }

    /// <param name="context">The response.</param>
    /// <param name="id">What a reader sends as Last-Event-ID.</param>
    /// <param name="name">The event's type; null is the default type, <c>message</c>.</param>
    /// <param name="data">JSON.</param>
    private static void WriteEvent(HttpContext context, string? id, string? name, ReadOnlySpan<byte> data)
    {
        var writer = context.Response.BodyWriter;
        if (id is not null) writer.Write(Encoding.ASCII.GetBytes($"id: {id}\n"));
        if (name is not null) writer.Write(Encoding.ASCII.GetBytes($"event: {name}\n"));
        // JSON may be written over several lines; an event's data is a line each.
        foreach (var range in data.SplitAny((byte)'\n', (byte)'\r'))
        {
            writer.Write("data: "u8);
            writer.Write(data[range]);
            writer.Write("\n"u8);
        }

        writer.Write("\n"u8);
    }

    private static byte[] Json(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var json = new Utf8JsonWriter(buffer, JobView.Options))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>A place in a stream, or none.</summary>
    private static bool TryIndex(Microsoft.Extensions.Primitives.StringValues given, out int? index)
    {
        index = null;
        if (given.Count == 0 || (given.Count == 1 && given[0] is "")) return true;
        if (!int.TryParse(given.ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var n) || n == int.MaxValue) return false;
        index = n;
        return true;
    }
}
