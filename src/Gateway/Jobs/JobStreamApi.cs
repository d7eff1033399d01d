using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http.Features;
using Sluice.Dispatch;
using Sluice.Domain.Jobs;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Storage.Jobs;

namespace Sluice.Gateway.Jobs;

/// <summary>Returns the stream of a job, as JSON or as server-sent events.</summary>
/// <remarks>
/// JSON is the format of RunPod's clients: each response has an array <c>stream</c> with the chunks since the last
/// response (or since <c>?cursor=</c>), and the status of the job. The status is not final while chunks remain.
/// <para>
/// Server-sent events: each chunk is a <c>message</c> event (the default type, which <c>EventSource.onmessage</c>
/// receives) with its index as id, and the last event is <c>done</c>. A client that reconnects to any gateway with
/// <c>Last-Event-ID</c> continues after that event. A client that already has <c>done</c> gets 204, which stops an
/// <c>EventSource</c> (HTML Standard, 9.2.2).
/// </para>
/// </remarks>
public sealed class JobStreamApi(JobReader reader, JobStreams streams, JobSignals signals,
    IHostApplicationLifetime lifetime, TimeProvider time)
{
    /// <summary>
    /// How long a request without <c>?wait=</c> waits for chunks. RunPod's JavaScript client polls without a pause, and
    /// its Python client times out after 10 s.
    /// </summary>
    private static readonly TimeSpan DefaultHold = TimeSpan.FromSeconds(5);

    /// <summary>Interval of heartbeats. It is shorter than the idle timeout of common proxies.</summary>
    private static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(15);

    /// <summary>Suffix of the id of <c>done</c>. The id starts with the number of chunks.</summary>
    private const string DoneSuffix = "-done";

    /// <summary>Handles a stream request in the format that the Accept header selects.</summary>
    public async Task StreamAsync(HttpContext context)
    {
        if (await reader.FindAsync(context, TimeSpan.Zero) is not { } job) return;
        if (context.Request.GetTypedHeaders().Accept.Any(a => a.MediaType == "text/event-stream"))
            await WriteEventsAsync(context, job);
        else await WriteJsonAsync(context, job);
    }

    private async Task WriteJsonAsync(HttpContext context, Job job)
    {
        var wait = context.Request.Query.ContainsKey("wait") ? JobsApi.ReadWait(context) : DefaultHold;
        if (wait is not { } timeout)
        {
            await JobsApi.BadWaitAsync(context);
            return;
        }

        if (!TryIndex(context.Request.Query["cursor"], out var cursor))
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
                $"cursor is '{context.Request.Query["cursor"]}'; expected the cursor of an earlier response, or 0.");
            return;
        }

        using var watch = signals.Watch(job.EndpointId, job.Id);
        var started = time.GetTimestamp();
        while (true)
        {
            var part = await ReadAsync(context, job, cursor);
            var left = timeout - time.GetElapsedTime(started);
            if (part.Chunks.Count > 0 || part.IsLast || left <= TimeSpan.Zero
                || lifetime.ApplicationStopping.IsCancellationRequested)
            {
                await WritePartAsync(context, job, part);
                return;
            }

            await watch.ChangedAsync(left, context.RequestAborted);
        }
    }

    /// <summary>
    /// Reads the next part, charges its bytes to the caller's key, and waits while the key exceeds its rate.
    /// </summary>
    private async Task<JobPart> ReadAsync(HttpContext context, Job job, int? from)
    {
        var part = await streams.ReadAsync(job.EndpointId, job.Id, from, signals.Watcher, context.RequestAborted);
        if (PollCharge.Find(context) is { } charge)
            await charge.TakeAsync(part.Chunks.Sum(c => (long)c.Length), PollCharge.Bytes, context.RequestAborted);
        return part;
    }

    private async Task WritePartAsync(HttpContext context, Job job, JobPart part)
    {
        context.Response.ContentType = "application/json";
        context.Response.Headers.CacheControl = "no-store";
        await using var json = new Utf8JsonWriter(context.Response.BodyWriter, JobView.Options);
        json.WriteStartObject();
        json.WriteString("id", job.Id);
        // Clients stop at the first final status, so it is only reported with the last chunk.
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
            && await reader.WaitAsync(job.EndpointId, job.Id, TimeSpan.Zero,
                context.RequestAborted) is { Error: { } error })
            json.WriteString("error", error.Message);
        json.WriteEndObject();
        await json.FlushAsync(context.RequestAborted);
    }

    private async Task WriteEventsAsync(HttpContext context, Job job)
    {
        var last = context.Request.Headers["Last-Event-ID"];
        var hasDone = last.Count == 1 && last[0]!.EndsWith(DoneSuffix, StringComparison.Ordinal);
        if (!TryIndex(hasDone ? last[0]![..^DoneSuffix.Length] : last, out var after) || (hasDone && after is null))
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
                $"Last-Event-ID is '{last}'; expected the id of an event of this stream.");
            return;
        }

        // The event 'done' follows the last chunk. If the job was retried since then, there may be new chunks at that
        // index.
        var next = after is not { } seen ? 0 : hasDone ? seen : seen + 1;
        using var watch = signals.Watch(job.EndpointId, job.Id);
        var part = await ReadAsync(context, job, next);
        if (part.IsLast && hasDone && next >= part.Total)
        {
            context.Response.StatusCode = StatusCodes.Status204NoContent;
            return;
        }

        StartResponse(context);
        var lastWrite = time.GetTimestamp();
        while (true)
        {
            for (var i = 0; i < part.Chunks.Count; i++)
                WriteEvent(context, (part.First + i).ToString(CultureInfo.InvariantCulture), null, part.Chunks[i]);
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

            if (part.Chunks.Count > 0) lastWrite = time.GetTimestamp();
            else if (time.GetElapsedTime(lastWrite) >= Heartbeat)
            {
                // The comment has no empty line, because some clients deliver an empty line as an empty event.
                context.Response.BodyWriter.Write(": still here\n"u8);
                lastWrite = time.GetTimestamp();
            }

            await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
            if (part.Next >= part.Total) await watch.ChangedAsync(Heartbeat, context.RequestAborted);
            if (lifetime.ApplicationStopping.IsCancellationRequested)
            {
                // For curl and fetch, a response that ends normally is complete. An aborted response is an error, and
                // an EventSource reconnects.
                context.Abort();
                return;
            }

            part = await ReadAsync(context, job, next);
        }
    }

    /// <summary>
    /// Writes the last events: <c>error</c> if the job failed, then <c>done</c> with the final status.
    /// </summary>
    private async Task EndAsync(HttpContext context, Job job, int chunks)
    {
        var end = await reader.WaitAsync(job.EndpointId, job.Id, TimeSpan.Zero, context.RequestAborted);
        if (end?.Error is { } error)
            WriteError(context, new StreamError(end.Status, error.Code, error.Message, error.Retryable));
        WriteEvent(context, string.Create(CultureInfo.InvariantCulture, $"{chunks}{DoneSuffix}"), "done",
            JsonSerializer.SerializeToUtf8Bytes(new JobState(job.Id, end?.Status ?? job.Status),
                JobResponseJson.Relaxed.JobState));
        await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
    }

    /// <summary>
    /// Reports that the data of the job was deleted before the client received all chunks. The stream is incomplete, so
    /// there is no <c>done</c>.
    /// </summary>
    private static async Task DataDeletedAsync(HttpContext context, Job job)
    {
        WriteError(context, new StreamError(job.Status, "DATA_DELETED",
            $"The data of job {job.Id} was deleted before its stream was read completely. Increase jobs.retention.",
            Retryable: false));
        await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
        context.Abort();
    }

    private static void StartResponse(HttpContext context)
    {
        context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        context.Response.ContentType = "text/event-stream; charset=utf-8";
        context.Response.Headers.CacheControl = "no-cache, no-transform";
        context.Response.Headers["X-Accel-Buffering"] = "no";
        // The reconnect delay of the client is one second. The line is part of the first event: a separate event would
        // need an empty line.
        context.Response.BodyWriter.Write("retry: 1000\n"u8);
    }

    /// <summary>Writes one event.</summary>
    /// <param name="context">The request.</param>
    /// <param name="id">The event id, which a client sends as Last-Event-ID. Null: no id.</param>
    /// <param name="name">The event type. Null is the default type, <c>message</c>.</param>
    /// <param name="data">JSON.</param>
    private static void WriteEvent(HttpContext context, string? id, string? name, ReadOnlySpan<byte> data)
    {
        var writer = context.Response.BodyWriter;
        if (id is not null) writer.Write(Encoding.ASCII.GetBytes($"id: {id}\n"));
        if (name is not null) writer.Write(Encoding.ASCII.GetBytes($"event: {name}\n"));
        // JSON can contain line breaks. Each line needs its own data field.
        foreach (var range in data.SplitAny((byte)'\n', (byte)'\r'))
        {
            writer.Write("data: "u8);
            writer.Write(data[range]);
            writer.Write("\n"u8);
        }

        writer.Write("\n"u8);
    }

    private static void WriteError(HttpContext context, StreamError error) => WriteEvent(context, null, "error",
        JsonSerializer.SerializeToUtf8Bytes(error, JobResponseJson.Relaxed.StreamError));

    /// <summary>Parses an index in a stream. An empty value is valid and has no index.</summary>
    private static bool TryIndex(Microsoft.Extensions.Primitives.StringValues given, out int? index)
    {
        index = null;
        if (given.Count == 0 || (given.Count == 1 && given[0] is "")) return true;
        if (!int.TryParse(given.ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var n)
            || n == int.MaxValue) return false;
        index = n;
        return true;
    }
}
