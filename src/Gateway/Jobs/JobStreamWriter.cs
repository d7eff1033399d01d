using System.Net.ServerSentEvents;
using System.Text;
using System.Text.Json;
using System.Threading.Channels;
using Sluice.Dispatch;
using Sluice.Domain.Declarations;
using Sluice.Domain.Jobs;
using Sluice.Gateway.Forwarding;
using Sluice.Gateway.Http;
using Sluice.Shared;
using Sluice.Storage.Jobs;
using Sluice.Storage.Redis;

namespace Sluice.Gateway.Jobs;

/// <summary>A worker sent no data for longer than the activityTimeout of the endpoint.</summary>
public sealed class SilentWorkerException(TimeSpan limit)
    : Exception($"The worker sent no data for longer than its activityTimeout of {limit.TotalSeconds:0.#} s.");

/// <summary>
/// Copies the stream of a handler into the stream of the job. Chunks that arrive during a write are combined in the
/// next write.
/// </summary>
public sealed class JobStreamWriter(JobStreams streams, TimeProvider time)
{
    /// <summary>
    /// Maximum number of events that are read but not yet written. At this number, reading from the worker pauses.
    /// </summary>
    private const int MaxAhead = 256;

    /// <summary>
    /// Maximum bytes of one write; the last chunk may exceed it. Redis processes no other command during a write.
    /// </summary>
    private const int MaxWrite = 1 << 20;

    /// <summary>Maximum bytes of an event in addition to its data.</summary>
    private const int EventOverhead = 64 << 10;

    private static readonly TimeSpan AppendPatience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan AppendPause = TimeSpan.FromMilliseconds(200);

    /// <summary>Copies the stream until it ends, and returns the outcome of the attempt.</summary>
    /// <param name="deployment">The endpoint.</param>
    /// <param name="grant">The claimed job.</param>
    /// <param name="answer">The response of the worker.</param>
    /// <param name="ct">Stops the copy.</param>
    /// <exception cref="SilentWorkerException">The worker sent no data for too long.</exception>
    public Task<AttemptOutcome> CopyAsync(Deployment deployment, JobGrant grant, HttpResponseMessage answer,
        CancellationToken ct)
    {
        var (policy, idle) = (deployment.Endpoint.Jobs, deployment.Endpoint.Forwarding.ActivityTimeout);
        return CopyAsync(policy, grant, 0, (chunks, stop) => ReadAsync(answer, chunks, idle, policy, stop), ct);
    }

    /// <summary>
    /// Copies a stream of text into a <see cref="TextLog"/> until it ends, and returns the outcome of the attempt. The
    /// output of the job is a status without a body: the log has the text.
    /// </summary>
    /// <param name="deployment">The endpoint.</param>
    /// <param name="grant">The claimed job.</param>
    /// <param name="answer">The response of the worker.</param>
    /// <param name="log">What earlier attempts have written.</param>
    /// <param name="ct">Stops the copy.</param>
    /// <exception cref="SilentWorkerException">The worker sent no data for too long.</exception>
    internal Task<AttemptOutcome> CopyTextAsync(Deployment deployment, JobGrant grant, HttpResponseMessage answer,
        TextLog log, CancellationToken ct)
    {
        var (policy, idle) = (deployment.Endpoint.Jobs, deployment.Endpoint.Forwarding.ActivityTimeout);
        return CopyAsync(policy, grant, log.Entries,
            (chunks, stop) => ReadTextAsync(answer, log, chunks, idle, stop), ct);
    }

    /// <summary>Reads the log of a job that streams text.</summary>
    internal async Task<TextLog> ReadLogAsync(JobGrant grant, CancellationToken ct)
    {
        for (var log = TextLog.Empty; ;)
        {
            var part = await streams.ReadAsync(grant.EndpointId, grant.Claim.Id, log.Entries, watcher: "", ct);
            log = log.With(part.Chunks);
            if (part.Next >= part.Total) return log;
        }
    }

    private async Task<AttemptOutcome> CopyAsync(JobPolicy policy, JobGrant grant, int first,
        Func<ChannelWriter<byte[]>, CancellationToken, Task<AttemptOutcome>> read, CancellationToken ct)
    {
        var chunks = Channel.CreateBounded<byte[]>(new BoundedChannelOptions(MaxAhead)
        {
            SingleReader = true,
            SingleWriter = true,
        });
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var writing = WriteAsync(grant, policy, first, chunks.Reader, stop, ct);
        var end = new AttemptOutcome(AttemptKind.Stopped);
        AttemptOutcome? rejection;
        try
        {
            end = await read(chunks.Writer, stop.Token);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested && !ct.IsCancellationRequested)
        {
            // A write was rejected. The result of the writer contains the reason.
        }
        finally
        {
            chunks.Writer.TryComplete();
            rejection = await writing;
        }

        return rejection ?? end;
    }

    private async Task<AttemptOutcome> ReadAsync(HttpResponseMessage answer, ChannelWriter<byte[]> chunks,
        TimeSpan activityTimeout, JobPolicy policy,
        CancellationToken ct)
    {
        using var idle = new CancellationTokenSource(activityTimeout, time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(idle.Token, ct);
        await using var body = new BoundedEvents(await answer.Content.ReadAsStreamAsync(ct),
            Math.Max(policy.MaxStreamBytes, policy.MaxOutputBytes) + EventOverhead);
        var all = new List<byte[]>();
        var bytes = 0L;
        AttemptOutcome? explicitEnd = null;
        try
        {
            await foreach (var item in SseParser.Create(body, (_, data) => data.ToArray()).EnumerateAsync(linked.Token))
            {
                idle.CancelAfter(activityTimeout);
                body.Next();
                if (item.EventType == "error") explicitEnd = Failure(item.Data);
                else if (item.EventType == "output")
                    explicitEnd = new AttemptOutcome(AttemptKind.Completed) { Output = AsJson(item.Data) };
                else if (!item.Data.AsSpan().SequenceEqual("[DONE]"u8))
                {
                    var chunk = AsJson(item.Data);
                    // Redis would reject the write. A repeated stream counts the same bytes.
                    if ((bytes += chunk.Length) > policy.MaxStreamBytes) return TooLong(policy);
                    if (bytes <= policy.MaxOutputBytes) all.Add(chunk);
                    await chunks.WriteAsync(chunk, linked.Token);
                    CrashPoint.Pass("after-chunk");
                }
            }
        }
        catch (OperationCanceledException) when (idle.IsCancellationRequested && !ct.IsCancellationRequested)
        {
            throw new SilentWorkerException(activityTimeout);
        }
        catch (EventTooLargeException)
        {
            return TooLong(policy);
        }

        if (explicitEnd is { Kind: AttemptKind.Failed }) return explicitEnd;
        var output = explicitEnd?.Output ?? Join(all);
        return bytes > policy.MaxOutputBytes && explicitEnd is null || output.Length > policy.MaxOutputBytes
            ? AttemptOutcome.Failed(JobErrors.OutputTooLarge,
                $"The output has {Math.Max(bytes, output.Length)} bytes; expected at most {policy.MaxOutputBytes} "
                + "bytes (jobs.maxOutputBytes of the endpoint).")
            : explicitEnd ?? new AttemptOutcome(AttemptKind.Completed) { Output = output };
    }

    private async Task<AttemptOutcome> ReadTextAsync(HttpResponseMessage answer, TextLog log,
        ChannelWriter<byte[]> chunks, TimeSpan activityTimeout, CancellationToken ct)
    {
        using var idle = new CancellationTokenSource(activityTimeout, time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(idle.Token, ct);
        var announced = TextLog.AnnouncedBy(answer);
        using var marks = announced is null ? null : new ResumableStream(announced, canResume: true);
        var reader = new TextStreamReader(await answer.Content.ReadAsStreamAsync(ct), marks);
        try
        {
            if (!log.HasText && announced is not null)
                await chunks.WriteAsync(TextLog.Head(announced), linked.Token);
            await foreach (var entry in reader.ReadAsync(() => idle.CancelAfter(activityTimeout), linked.Token))
            {
                await chunks.WriteAsync(entry, linked.Token);
                CrashPoint.Pass("after-chunk");
            }

            await chunks.WriteAsync(TextLog.End, linked.Token);
            return PathJob.Streamed;
        }
        catch (OperationCanceledException) when (idle.IsCancellationRequested && !ct.IsCancellationRequested)
        {
            throw new SilentWorkerException(activityTimeout);
        }
        catch (InvalidDataException e)
        {
            return AttemptOutcome.Failed(JobErrors.AnswerInvalid, e.Message, retryable: true);
        }
    }

    /// <summary>
    /// Writes the chunks. Returns null if all chunks were written, otherwise the outcome of the attempt.
    /// </summary>
    private async Task<AttemptOutcome?> WriteAsync(JobGrant grant, JobPolicy policy, int first,
        ChannelReader<byte[]> chunks, CancellationTokenSource stop, CancellationToken ct)
    {
        var written = first;
        var batch = new List<byte[]>();
        // No cancellation: chunks that have arrived are written even if the worker is lost.
        while (await chunks.WaitToReadAsync(CancellationToken.None))
        {
            batch.Clear();
            for (var bytes = 0; bytes < MaxWrite && chunks.TryRead(out var chunk); bytes += chunk.Length)
                batch.Add(chunk);
            var did = await AppendAsync(grant, policy, written, batch, ct);
            written += batch.Count;
            if (did == AppendOutcome.Appended) continue;
            await stop.CancelAsync();
            return did switch
            {
                AppendOutcome.Full => TooLong(policy),
                AppendOutcome.NoRoom => AttemptOutcome.Failed(JobErrors.StreamTooLarge,
                    "The stream cannot be stored: the jobs of the endpoint or of this key "
                    + $"occupy twice their limit in Redis (jobs.maxBytes is {policy.MaxBytes}, jobs.maxKeyBytes is "
                    + $"{policy.MaxKeyBytes}).", true),
                AppendOutcome.Diverged => AttemptOutcome.Failed(JobErrors.StreamDiverged,
                    "The chunks of this attempt differ from the chunks of the previous attempt, so the streams cannot "
                    + "be joined.", true),
                AppendOutcome.Gap => AttemptOutcome.Requeue(
                    "Redis lost a part of the stream. The next attempt writes it from the beginning.",
                    counted: false),
                _ => new AttemptOutcome(AttemptKind.Stopped),
            };
        }

        return null;
    }

    private static AttemptOutcome TooLong(JobPolicy policy) => AttemptOutcome.Failed(JobErrors.StreamTooLarge,
        $"The stream is too long; expected at most {policy.MaxStreamBytes} bytes "
        + "(jobs.maxStreamBytes of the endpoint).");

    /// <summary>
    /// Retries the write until Redis responds or the time of the attempt ends. The write is idempotent: the same chunks
    /// at the same index are stored once.
    /// </summary>
    private async Task<AppendOutcome> AppendAsync(JobGrant grant, JobPolicy policy, int written, List<byte[]> batch,
        CancellationToken ct)
    {
        while (true)
        {
            try
            {
                return await streams.AppendAsync(grant.EndpointId, grant.Claim.Id, grant.Claim.Fence, written,
                    policy.MaxStreamBytes, batch, grant.Stopped, StreamCapacity.ForPolicy(policy))
                    .WaitAsync(AppendPatience, time, CancellationToken.None);
            }
            catch (OperationCanceledException) when (grant.Stopped.IsCancellationRequested)
            {
                return AppendOutcome.Stale;
            }
            catch (Exception e) when (RedisErrors.Is(e))
            {
                await Task.Delay(AppendPause, time, ct);
            }
        }
    }

    private static AttemptOutcome Failure(byte[] data)
    {
        try
        {
            using var document = JsonDocument.Parse(data);
            if (document.RootElement.ValueKind == JsonValueKind.Object
                && document.RootElement.TryGetProperty("error", out var error)
                && error.ValueKind == JsonValueKind.String)
                return AttemptOutcome.Failed(JobErrors.Handler, error.GetString()!);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // The data is text.
        }

        return AttemptOutcome.Failed(JobErrors.Handler, Encoding.UTF8.GetString(data));
    }

    /// <summary>Returns a chunk as JSON. A chunk that is not valid JSON becomes a string.</summary>
    private static byte[] AsJson(byte[] data)
    {
        data = Utf8Text.Repaired(data);
        try
        {
            var reader = new Utf8JsonReader(data, new JsonReaderOptions { MaxDepth = 512 });
            while (reader.Read())
            {
                // Only validates the syntax.
            }

            if (data.Length > 0) return data;
        }
        catch (JsonException)
        {
            // The chunk is text.
        }

        return JsonSerializer.SerializeToUtf8Bytes(Encoding.UTF8.GetString(data), JobJson.Default.String);
    }

    private static byte[] Join(List<byte[]> chunks)
    {
        var all = new MemoryStream();
        all.WriteByte((byte)'[');
        for (var i = 0; i < chunks.Count; i++)
        {
            if (i > 0) all.WriteByte((byte)',');
            all.Write(chunks[i]);
        }

        all.WriteByte((byte)']');
        return all.ToArray();
    }
}
