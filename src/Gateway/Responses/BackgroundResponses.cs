using System.Text.Json.Nodes;
using Sluice.Dispatch;
using Sluice.Domain.Jobs;
using Sluice.Domain.Schema;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Gateway.Jobs;
using Sluice.Storage.Jobs;
using Sluice.Storage.Redis;

namespace Sluice.Gateway.Responses;

/// <summary>
/// Runs responses in the background as durable jobs, so they survive the loss of gateways and workers,
/// and every gateway can read and cancel them.
/// </summary>
public sealed class BackgroundResponses(JobSubmitter submitter, StoredResponses responses, JobStore jobs,
    JobStreams streams, Dispatcher dispatcher, ResponseSettings settings, RedisStore redis)
{
    /// <summary>Stores the response and queues its job. Null: an error response was written.</summary>
    /// <param name="context">The request.</param>
    /// <param name="request">What it asks.</param>
    /// <param name="chat">The translated request.</param>
    /// <param name="response">The response in its first state.</param>
    /// <param name="items">The items before its output.</param>
    internal async Task<ResponseRecord?> CreateAsync(HttpContext context, ResponseRequest request, JsonObject chat,
        JsonObject response, JsonArray items)
    {
        if (await SchemaRefusal.RefuseAsync(
            context, redis.Schema, SchemaVersions.JobPaths, "Responses in the background")) return null;
        var (admission, owner) = (context.Admission(), context.Admission().Flow);
        var endpoint = admission.Deployment!.Endpoint;
        var input = ResponseJson.WriteBytes(chat);
        if (input.Length > endpoint.Jobs.MaxInputBytes)
            throw new ResponseFaultException("input", $"The conversation has {input.Length} bytes; expected at most "
                + $"{endpoint.Jobs.MaxInputBytes} (jobs.maxInputBytes of the endpoint).",
                StatusCodes.Status413PayloadTooLarge);
        var job = Guid.CreateVersion7().ToString();
        var record = new ResponseRecord(response, items, new BackgroundJob(endpoint.Id, job, request.IsStreamed));
        // The record outlives the job: it waits for its ttl, runs in several attempts, and is then stored.
        var keep = endpoint.Jobs.Ttl + (endpoint.Jobs.MaxRuns * endpoint.Forwarding.ExecutionTimeout) + settings.Keep;
        if (!await responses.StoreAsync(record, owner, keep, context.RequestAborted))
            throw new ResponseFaultException("input", "The conversation has more than "
                + $"{settings.Limits.Bytes} bytes (SLUICE_RESPONSE_MAX_KIB), so the response cannot be stored.",
                StatusCodes.Status413PayloadTooLarge);
        var limits = JobSubmitter.GetLimits(admission, endpoint);
        var isQueued = false;
        try
        {
            isQueued = await submitter.QueueAsync(context, new JobSubmission
            {
                Id = job,
                EndpointId = endpoint.Id,
                Flow = owner,
                Weight = admission.Weight,
                Input = input,
                Path = ResponseCreation.ChatPath,
                Ttl = endpoint.Jobs.Ttl,
                Timeout = endpoint.Forwarding.ExecutionTimeout,
                Retention = settings.Keep,
                MaxRuns = endpoint.Jobs.MaxRuns,
                MaxQueued = limits.Queued,
                FlowMaxQueued = limits.FlowQueued,
                MaxBytes = limits.Bytes,
                FlowMaxBytes = limits.FlowBytes,
                LowPriority = request.IsFlex,
            });
        }
        finally
        {
            if (!isQueued) await responses.TryDeleteAsync(record.Id, owner);
        }

        return isQueued ? record : null;
    }

    /// <summary>Returns a response as it is now; null: the data of its job was deleted.</summary>
    internal async Task<JsonObject?> ReadAsync(ResponseRecord record, CancellationToken ct)
    {
        if (record.Job is not { } background) return record.Response;
        if (await jobs.LookAsync(background.EndpointId, background.Id, null, ct) is not { Expired: false } job)
            return null;
        var replay = new ResponseReplay(record);
        replay.Queue();
        if (job.Status == JobStatus.Queued && job.Started is null) return replay.ToObject();
        replay.Start();
        if (!job.IsFinal) return replay.ToObject();
        if (background.IsStreamed && !await AddLogAsync(replay, background, ct)) return null;
        replay.End(job);
        return replay.ToObject();
    }

    /// <summary>Cancels the job of a response. A response that has ended is not changed.</summary>
    internal async Task CancelAsync(BackgroundJob job)
    {
        await jobs.CancelAsync(job.EndpointId, job.Id, CancellationToken.None);
        dispatcher.StopJob(job.EndpointId, job.Id);
    }

    /// <summary>Deletes the job of a response, after its cancellation if it has not ended.</summary>
    internal async Task DeleteAsync(BackgroundJob job)
    {
        await CancelAsync(job);
        if (await jobs.LookAsync(job.EndpointId, job.Id, null, CancellationToken.None, withOutput: false) is { } ended)
            await jobs.ExpireAsync(job.EndpointId, [ended], CancellationToken.None);
    }

    private async Task<bool> AddLogAsync(ResponseReplay replay, BackgroundJob job, CancellationToken ct)
    {
        for (var next = 0; ;)
        {
            var part = await streams.ReadAsync(job.EndpointId, job.Id, next, watcher: "", ct);
            if (part.Status.Length == 0 || part.Expired) return false;
            foreach (var entry in part.Chunks) replay.Add(entry);
            next = part.Next;
            if (next >= part.Total) return true;
        }
    }
}
