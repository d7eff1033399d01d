using System.Buffers;
using System.Globalization;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http.Features;
using Sluice.Dispatch;
using Sluice.Domain.Jobs;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Storage.Jobs;

namespace Sluice.Gateway.Responses;

/// <summary>
/// Sends the events of a response in the background. A client that lost its connection continues at any gateway with
/// <c>?starting_after=</c>, because the events follow from the log of the job.
/// </summary>
public sealed class ResponseStream(JobStore jobs, JobStreams streams, JobSignals signals,
    IHostApplicationLifetime lifetime, TimeProvider time)
{
    /// <summary>Interval of heartbeats. It is shorter than the idle timeout of common proxies.</summary>
    private static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(15);

    /// <summary>Reads <c>?starting_after=</c>; -1 if it is missing. Null: an error response was written.</summary>
    internal static async Task<int?> ReadCursorAsync(HttpContext context)
    {
        if (context.Request.Query["starting_after"] is not [{ Length: > 0 } text]) return -1;
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var after)) return after;
        await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
            $"starting_after is '{text}'; expected the sequence_number of an event.", param: "starting_after");
        return null;
    }

    /// <summary>Sends the events until the response has ended.</summary>
    /// <param name="context">The request.</param>
    /// <param name="record">The record of the response, with a job that has a log.</param>
    /// <param name="after">The number of the last event that the client has; -1: none.</param>
    internal async Task SendAsync(HttpContext context, ResponseRecord record, int after)
    {
        var (job, ct) = (record.Job!, context.RequestAborted);
        var (replay, next, lastWrite) = (new ResponseReplay(record), 0, time.GetTimestamp());
        using var watch = signals.Watch(job.EndpointId, job.Id);
        StartResponse(context);
        Write(replay.Queue());
        while (true)
        {
            var part = await streams.ReadAsync(job.EndpointId, job.Id, next, signals.Watcher, ct);
            if (PollCharge.Find(context) is { } charge)
                await charge.TakeAsync(part.Chunks.Sum(c => (long)c.Length), PollCharge.Bytes, ct);
            if (part.Status.Length == 0 || part.Expired)
            {
                // The stream is not complete, and an aborted response says so.
                context.Abort();
                return;
            }

            if (!replay.IsStarted && (part.Status != JobStatus.Queued || part.Total > 0)) Write(replay.Start());
            foreach (var entry in part.Chunks) Write(replay.Add(entry));
            next = part.Next;
            if (part.IsLast)
            {
                if (await jobs.LookAsync(job.EndpointId, job.Id, null, ct) is { } ended) Write(replay.End(ended));
                await context.Response.BodyWriter.FlushAsync(ct);
                return;
            }

            if (time.GetElapsedTime(lastWrite) >= Heartbeat) Send(": still here\n"u8);
            await context.Response.BodyWriter.FlushAsync(ct);
            if (part.Next >= part.Total) await watch.ChangedAsync(Heartbeat, ct);
            if (!lifetime.ApplicationStopping.IsCancellationRequested) continue;
            // For a client, a response that ends normally is complete.
            context.Abort();
            return;
        }

        void Write(IEnumerable<JsonObject> events)
        {
            List<JsonObject> fresh = [.. events.Where(e => (int)e["sequence_number"]! > after)];
            if (fresh.Count > 0) Send(ResponseEvents.Write(fresh));
        }

        void Send(ReadOnlySpan<byte> bytes)
        {
            context.Response.BodyWriter.Write(bytes);
            lastWrite = time.GetTimestamp();
        }
    }

    private static void StartResponse(HttpContext context)
    {
        context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        context.Response.ContentType = ResponseEvents.ContentType;
        context.Response.Headers.CacheControl = "no-cache, no-transform";
        context.Response.Headers["X-Accel-Buffering"] = "no";
    }
}
