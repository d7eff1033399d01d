using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http.Features;
using Sluice.Core.Jobs;
using Sluice.Gateway.Api;
using Sluice.Gateway.Jobs;

namespace Sluice.Gateway.Streaming;

/// <summary>
/// A job's stream in two forms. JSON, as RunPod's clients read it: each answer has an array <c>stream</c> with what came since the last one
/// (or since <c>?cursor=</c>), and the job's status, which is never a final one while chunks remain. Server-sent events: a
/// <c>chunk</c> event each with its index as id, so that <c>Last-Event-ID</c> goes on where a reader stopped, at any gateway.
/// </summary>
public sealed class JobStreamApi(JobReader reader, JobStreams streams, JobSignals signals, IHostApplicationLifetime lifetime, TimeProvider time)
{
    /// <summary>Held when a client names no wait: JavaScript's polls without a pause, Python's gives up after 10 s.</summary>
    private static readonly TimeSpan DefaultHold = TimeSpan.FromSeconds(5);

    /// <summary>Below every proxy's idle timeout.</summary>
    private static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(15);

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
            var part = await streams.ReadAsync(job.EndpointId, job.Id, cursor, signals.Watcher, context.RequestAborted);
            var left = hold - time.GetElapsedTime(started);
            if (part.Chunks.Count > 0 || part.IsLast || left <= TimeSpan.Zero || lifetime.ApplicationStopping.IsCancellationRequested)
            {
                await WritePartAsync(context, job, part);
                return;
            }

            await watch.ChangedAsync(left, context.RequestAborted);
        }
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
        if (!TryIndex(last, out var after))
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest, $"Last-Event-ID is '{last}', expected the id of an event of this stream");
            return;
        }

        Begin(context);
        var next = after is { } seen ? seen + 1 : 0;
        using var watch = signals.Watch(job.EndpointId, job.Id);
        var quiet = time.GetTimestamp();
        while (!lifetime.ApplicationStopping.IsCancellationRequested)
        {
            var part = await streams.ReadAsync(job.EndpointId, job.Id, next, signals.Watcher, context.RequestAborted);
            for (var i = 0; i < part.Chunks.Count; i++) WriteEvent(context, part.First + i, "chunk", part.Chunks[i]);
            next = Math.Max(next, part.Next);
            if (part.IsLast || part.Status.Length == 0)
            {
                await EndAsync(context, job);
                return;
            }

            if (part.Chunks.Count > 0) quiet = time.GetTimestamp();
            else if (time.GetElapsedTime(quiet) >= Heartbeat)
            {
                context.Response.BodyWriter.Write(": still here\n\n"u8);
                quiet = time.GetTimestamp();
            }

            await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
            if (part.Next >= part.Total) await watch.ChangedAsync(Heartbeat, context.RequestAborted);
        }
    }

    /// <summary>The last event: <c>error</c> with a structured reason, then <c>done</c> with the job's end.</summary>
    private async Task EndAsync(HttpContext context, Job job)
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
        WriteEvent(context, null, "done", Json(json =>
        {
            json.WriteString("id", job.Id);
            json.WriteString("status", end?.Status ?? job.Status);
        }));
        await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
    }

    private static void Begin(HttpContext context)
    {
        context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        context.Response.ContentType = "text/event-stream; charset=utf-8";
        context.Response.Headers.CacheControl = "no-cache, no-transform";
        context.Response.Headers["X-Accel-Buffering"] = "no";
        // A reader whose connection breaks comes back soon: everything is kept.
        context.Response.BodyWriter.Write("retry: 1000\n\n"u8);
    }

    private static void WriteEvent(HttpContext context, int? id, string name, ReadOnlySpan<byte> data)
    {
        var writer = context.Response.BodyWriter;
        if (id is { } n) writer.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"id: {n}\n")));
        writer.Write(Encoding.ASCII.GetBytes($"event: {name}\n"));
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
