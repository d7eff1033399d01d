using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Sluice.Domain.Fleet;
using Sluice.Domain.Jobs;
using Sluice.Gateway.Http;

namespace Sluice.Gateway.Jobs;

/// <summary>
/// Writes the JSON of a job. It has the fields of RunPod with the same meaning (<c>id, status, delayTime,
/// executionTime, output, error, workerId, retries</c>; times in ms), and additional fields: wait reason, attempts,
/// timings, worker, provider, structured error.
/// </summary>
public static class JobView
{
    /// <summary>The options of all JSON writers of the jobs API.</summary>
    public static readonly JsonWriterOptions Options = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        SkipValidation = true,
    };

    /// <summary>Returns a complete response body.</summary>
    public static ReadOnlyMemory<byte> Write(Job job, QueueView? queue)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(buffer, Options)) Write(json, job, queue);
        return buffer.WrittenMemory;
    }

    /// <summary>Writes the job as a JSON object.</summary>
    public static void Write(Utf8JsonWriter json, Job job, QueueView? queue)
    {
        json.WriteStartObject();
        json.WriteString("id", job.Id);
        json.WriteString("status", job.Status);
        if (job.Started is { } started) json.WriteNumber("delayTime", Ms(started - job.Submitted));
        if (job is { Started: { } from, Ended: { } to }) json.WriteNumber("executionTime", Ms(to - from));
        if (job.Output is { } output)
        {
            json.WritePropertyName("output");
            json.WriteRawValue(output.Span, skipInputValidation: true);
        }

        WriteError(json, job);
        if (job is { Status: "FAILED" or "TIMED_OUT", Worker: { } failed })
            json.WriteString("log", WorkerLogPath.For(job.EndpointId, failed));
        if (job.Worker is { } worker) json.WriteString("workerId", worker);
        json.WriteNumber("retries", Math.Max(0, job.Runs - 1));
        if (job.Provider is { } provider) json.WriteString("provider", provider);
        if (job.Expired) json.WriteBoolean("expired", true);
        WriteTimings(json, job);
        if (job.Lost.Count > 0) WriteLost(json, job);
        if (queue is not null) WriteQueue(json, queue);
        json.WriteEndObject();
    }

    private static void WriteError(Utf8JsonWriter json, Job job)
    {
        if (job.Error is not { } error) return;
        json.WriteString("error", error.Message);
        json.WriteStartObject("errorInfo");
        json.WriteString("code", error.Code);
        json.WriteString("message", error.Message);
        json.WriteBoolean("retryable", error.Retryable);
        json.WriteEndObject();
    }

    private static void WriteTimings(Utf8JsonWriter json, Job job)
    {
        json.WriteStartObject("timings");
        json.WriteString("submittedAt", job.Submitted);
        if (job.Started is { } started)
        {
            json.WriteString("startedAt", started);
            json.WriteNumber("queueMs", Ms(started - job.Submitted - job.Cold));
            json.WriteNumber("coldMs", Ms(job.Cold));
            json.WriteNumber("executionMs", Ms((job.Ended ?? job.Now) - started));
        }

        if (job.Ended is { } ended)
        {
            json.WriteString("endedAt", ended);
            json.WriteNumber("totalMs", Ms(ended - job.Submitted));
        }

        json.WriteEndObject();
        if (job is { Cold.Ticks: > 0, WorkerStart.Count: > 0, WorkerReady: { } ready, Ended: { } answered })
            WriteColdStart(json, job, ready, answered);
    }

    /// <summary>
    /// Writes the stages of the cold start, in ms, from the time when the job was queued to its response.
    /// </summary>
    private static void WriteColdStart(Utf8JsonWriter json, Job job, DateTimeOffset ready, DateTimeOffset answered)
    {
        var start = job.WorkerStart.FirstOrDefault(s => s.Name == StartStages.Total)?.Ms ?? 0;
        json.WriteStartObject("coldStart");
        // The worker may have been started for an earlier request.
        json.WriteNumber("queued", Ms(ready - job.Queued - TimeSpan.FromMilliseconds(start)));
        foreach (var stage in job.WorkerStart)
            if (stage.Name != StartStages.Total) json.WriteNumber(stage.Name, stage.Ms);
        json.WriteNumber("firstAnswer", Ms(answered - ready));
        json.WriteEndObject();
    }

    private static void WriteLost(Utf8JsonWriter json, Job job)
    {
        json.WriteStartArray("attempts");
        foreach (var lost in job.Lost)
        {
            json.WriteStartObject();
            json.WriteNumber("attempt", lost.Attempt);
            json.WriteString("worker", lost.Worker);
            json.WriteString("startedAt", lost.Started);
            json.WriteString("endedAt", lost.Ended);
            json.WriteString("reason", lost.Why);
            if (lost.Worker.Length > 0) json.WriteString("log", WorkerLogPath.For(job.EndpointId, lost.Worker));
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void WriteQueue(Utf8JsonWriter json, QueueView queue)
    {
        json.WriteStartObject("queue");
        json.WriteNumber("position", queue.Position);
        json.WriteString("reason", queue.Reason);
        json.WriteString("detail", queue.Detail);
        if (queue.EtaMs is { } eta) json.WriteNumber("etaMs", eta);
        else json.WriteNull("etaMs");
        json.WriteEndObject();
    }

    private static double Ms(TimeSpan time) => Math.Max(0, Math.Round(time.TotalMilliseconds));
}
