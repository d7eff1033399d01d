using System.Net.ServerSentEvents;
using System.Text;
using System.Text.Json;
using System.Threading.Channels;
using Sluice.Core;
using Sluice.Core.Dispatch;
using Sluice.Core.Endpoints;
using Sluice.Core.Jobs;
using Sluice.Core.Redis;

namespace Sluice.Gateway.Jobs;

/// <summary>A worker said nothing for longer than the endpoint's activityTimeout.</summary>
public sealed class SilentWorkerException(TimeSpan limit)
    : Exception($"the worker was silent for longer than activityTimeout {limit.TotalSeconds:0.#} s");

/// <summary>Copies what a handler streams into the job's log: what has come while one write is on its way goes with the next.</summary>
public sealed class JobStreamWriter(JobStreams streams, TimeProvider time)
{
    /// <summary>Events read ahead of the log; then the worker is not read from.</summary>
    private const int MaxAhead = 256;

    /// <summary>Bytes of one write, but for one chunk: Redis does nothing else meanwhile.</summary>
    private const int MaxWrite = 1 << 20;

    /// <summary>Of an event, beside its data.</summary>
    private const int Slack = 64 << 10;

    private static readonly TimeSpan AppendPatience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan AppendPause = TimeSpan.FromMilliseconds(200);

    public async Task<AttemptEnd> CopyAsync(Deployment deployment, JobGrant grant, HttpResponseMessage answer, CancellationToken ct)
    {
        var policy = deployment.Endpoint.Jobs;
        var chunks = Channel.CreateBounded<byte[]>(new BoundedChannelOptions(MaxAhead) { SingleReader = true, SingleWriter = true });
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var writing = WriteAsync(grant, policy, chunks.Reader, stop, ct);
        var (end, refused) = (new AttemptEnd(AttemptKind.Stopped), (AttemptEnd?)null);
        try
        {
            end = await ReadAsync(answer, chunks.Writer, deployment.Endpoint.Forwarding.ActivityTimeout, policy, stop.Token);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested && !ct.IsCancellationRequested)
        {
            // The log refused it.
        }
        finally
        {
            chunks.Writer.TryComplete();
            refused = await writing;
        }

        return refused ?? end;
    }

    private async Task<AttemptEnd> ReadAsync(HttpResponseMessage answer, ChannelWriter<byte[]> chunks, TimeSpan silence, JobPolicy policy,
        CancellationToken ct)
    {
        using var quiet = new CancellationTokenSource(silence, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(quiet.Token, ct);
        await using var body = new BoundedEvents(await answer.Content.ReadAsStreamAsync(ct), Math.Max(policy.MaxStreamBytes, policy.MaxOutputBytes) + Slack);
        var all = new List<byte[]>();
        var bytes = 0L;
        AttemptEnd? told = null;
        try
        {
            await foreach (var item in SseParser.Create(body, (_, data) => data.ToArray()).EnumerateAsync(both.Token))
            {
                quiet.CancelAfter(silence);
                body.Next();
                if (item.EventType == "error") told = Failure(item.Data);
                else if (item.EventType == "output") told = new AttemptEnd(AttemptKind.Completed) { Output = AsJson(item.Data) };
                else if (!item.Data.AsSpan().SequenceEqual("[DONE]"u8))
                {
                    var chunk = AsJson(item.Data);
                    // The log would refuse it; whoever repeats a stream repeats its bytes.
                    if ((bytes += chunk.Length) > policy.MaxStreamBytes) return TooLong(policy);
                    if (bytes <= policy.MaxOutputBytes) all.Add(chunk);
                    await chunks.WriteAsync(chunk, both.Token);
                    CrashPoint.Pass("after-chunk");
                }
            }
        }
        catch (OperationCanceledException) when (quiet.IsCancellationRequested && !ct.IsCancellationRequested)
        {
            throw new SilentWorkerException(silence);
        }
        catch (EventTooLargeException)
        {
            return TooLong(policy);
        }

        if (told is { Kind: AttemptKind.Failed }) return told;
        var output = told?.Output ?? Join(all);
        return bytes > policy.MaxOutputBytes && told is null || output.Length > policy.MaxOutputBytes
            ? AttemptEnd.Failed(JobErrors.OutputTooLarge,
                $"the output has {Math.Max(bytes, output.Length)} bytes, the endpoint's limit jobs.maxOutputBytes is {policy.MaxOutputBytes}")
            : told ?? new AttemptEnd(AttemptKind.Completed) { Output = output };
    }

    /// <summary>Ends with null when all was written, else with what that means for the attempt.</summary>
    private async Task<AttemptEnd?> WriteAsync(JobGrant grant, JobPolicy policy, ChannelReader<byte[]> chunks, CancellationTokenSource stop,
        CancellationToken ct)
    {
        var written = 0;
        var batch = new List<byte[]>();
        // Not with the token: what has come is written, also when the worker dies now.
        while (await chunks.WaitToReadAsync(CancellationToken.None))
        {
            batch.Clear();
            for (var bytes = 0; bytes < MaxWrite && chunks.TryRead(out var chunk); bytes += chunk.Length) batch.Add(chunk);
            var did = await AppendAsync(grant, policy, written, batch, ct);
            written += batch.Count;
            if (did == AppendOutcome.Appended) continue;
            await stop.CancelAsync();
            return did switch
            {
                AppendOutcome.Full => TooLong(policy),
                AppendOutcome.NoRoom => AttemptEnd.Failed(JobErrors.StreamTooLarge, "the stream cannot be stored: the jobs of the endpoint, or of this key, "
                    + $"occupy twice their limit in Redis (jobs.maxBytes is {policy.MaxBytes}, jobs.maxKeyBytes is {policy.MaxKeyBytes})", true),
                AppendOutcome.Diverged => AttemptEnd.Failed(JobErrors.StreamDiverged,
                    "this attempt streams something else than the one before it: the two cannot be joined", true),
                AppendOutcome.Gap => AttemptEnd.Again("Redis lost a part of the job's stream; the next attempt streams it from the beginning", counted: false),
                _ => new AttemptEnd(AttemptKind.Stopped),
            };
        }

        return null;
    }

    private static AttemptEnd TooLong(JobPolicy policy) => AttemptEnd.Failed(JobErrors.StreamTooLarge,
        $"the stream is longer than the endpoint's limit jobs.maxStreamBytes of {policy.MaxStreamBytes}");

    /// <summary>Until Redis has answered, or the attempt's time is up: the same chunks at the same place are added once.</summary>
    private async Task<AppendOutcome> AppendAsync(JobGrant grant, JobPolicy policy, int written, List<byte[]> batch, CancellationToken ct)
    {
        while (true)
        {
            try
            {
                return await streams.AppendAsync(grant.EndpointId, grant.Claim.Id, grant.Claim.Fence, written, policy.MaxStreamBytes,
                    batch, grant.Stopped, StreamRoom.Of(policy)).WaitAsync(AppendPatience, time, CancellationToken.None);
            }
            catch (OperationCanceledException) when (grant.Stopped.IsCancellationRequested)
            {
                return AppendOutcome.Stale;
            }
            catch (Exception e) when (RedisDown.Is(e))
            {
                await Task.Delay(AppendPause, time, ct);
            }
        }
    }

    private static AttemptEnd Failure(byte[] data)
    {
        try
        {
            using var document = JsonDocument.Parse(data);
            if (document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty("error", out var error)
                && error.ValueKind == JsonValueKind.String) return AttemptEnd.Failed(JobErrors.Handler, error.GetString()!);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // Then it is text.
        }

        return AttemptEnd.Failed(JobErrors.Handler, Encoding.UTF8.GetString(data));
    }

    /// <summary>A chunk that is no JSON is text.</summary>
    private static byte[] AsJson(byte[] data)
    {
        data = Utf8Text.Repaired(data);
        try
        {
            var reader = new Utf8JsonReader(data, new JsonReaderOptions { MaxDepth = 512 });
            while (reader.Read())
            {
                // Only whether it is whole.
            }

            if (data.Length > 0) return data;
        }
        catch (JsonException)
        {
            // Then it is text.
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
