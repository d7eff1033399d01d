using System.Globalization;
using Sluice.Domain.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Jobs;

/// <summary>Reads the state, the input and the output of single jobs.</summary>
internal sealed class JobRecordReader(RedisStore redis, PayloadStore payloads)
{
    private static readonly Script LookLua = Script.Load("job-look");

    /// <summary>
    /// Returns the current state of a job, or null. If a watcher is given, that gateway is notified when the job ends.
    /// Throws <see cref="PayloadException"/> if its output is a file that cannot be read.
    /// </summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="id">The job.</param>
    /// <param name="watcher">The gateway to notify; null: none.</param>
    /// <param name="ct">Cancels the call.</param>
    /// <param name="withOutput">Whether to read the output.</param>
    public async Task<Job?> LookAsync(
        string endpointId,
        string id,
        string? watcher,
        CancellationToken ct,
        bool withOutput = true)
    {
        var k = new JobKeys(endpointId);
        var d = k.Dispatch;
        var reply = await LookLua.RunAsync(redis.Database,
            [d.Queue, d.Running, d.Meta, d.Jobs, d.Retries, d.Watchers, d.Results, d.Blobs, k.Expired, k.ExpiredBefore],
            [id, watcher ?? "", withOutput ? 1 : 0]).WaitAsync(ct);
        var r = reply.Items();
        if (r.Length == 0) return null;
        var isExpired = (int)r[7] == 1;
        var fields = new JobSerializer(r[3].Text(), r[4].Text(), r[5].Text(), r[6].Bytes()) { Expired = isExpired };
        var mean = double.TryParse(r[2].Text(), CultureInfo.InvariantCulture, out var ms)
            ? TimeSpan.FromMilliseconds(ms)
            : (TimeSpan?)null;
        return fields.ToJob(endpointId, id) with
        {
            Now = DateTimeOffset.FromUnixTimeMilliseconds((long)r[0]),
            Place = (int)r[1],
            MeanRun = mean,
            Output = withOutput && fields.Output is { } stored
                ? await payloads.LoadAsync(stored, ct)
                : (ReadOnlyMemory<byte>?)null,
        };
    }

    /// <summary>Returns the span of a job's submission (<see cref="JobSubmission.Trace"/>); null: none.</summary>
    public async Task<string?> TraceAsync(string endpointId, string id, CancellationToken ct)
    {
        var submission = await redis.Database.HashGetAsync(new JobKeys(endpointId).Dispatch.Jobs, id).WaitAsync(ct);
        return (byte[]?)submission is { } text ? JobSerializer.Trace(text) : null;
    }

    /// <summary>Returns the input of a job, its s3Config and its time limit; null if the job is gone.</summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="id">The job.</param>
    /// <param name="ct">Cancels the call.</param>
    /// <param name="beforeLoad">
    /// Gets the size in bytes before a file is loaded, and may delay that; null: nothing does.
    /// </param>
    public async Task<(ReadOnlyMemory<byte> Input, byte[]? S3, TimeSpan Timeout)?> InputAsync(
        string endpointId,
        string id,
        CancellationToken ct,
        Func<long, Task>? beforeLoad = null)
    {
        var k = new JobKeys(endpointId).Dispatch;
        var text = redis.Database.HashGetAsync(k.Jobs, id);
        var large = redis.Database.HashGetAsync(k.Blobs, id + JobSerializer.InputField);
        if ((byte[]?)await text.WaitAsync(ct) is not { } submission) return null;
        var (input, s3, timeout) = JobSerializer.Input(submission);
        // If the job has ended since the first read, its large input may be deleted.
        if ((byte[]?)await large.WaitAsync(ct) is not { } stored) stored = input;
        if (JobSerializer.IsElsewhere(stored)) return null;
        if (beforeLoad is not null) await beforeLoad(payloads.LengthOf(stored));
        return (await payloads.LoadAsync(stored, ct), s3, timeout);
    }
}
