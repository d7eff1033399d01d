using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.RegularExpressions;
using Sluice.Dispatch;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Jobs;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Storage.Fleet;
using Sluice.Storage.Jobs;
using Sluice.Storage.Queueing;

namespace Sluice.Gateway.Jobs;

/// <summary>Finds the job of a request, waits for it, and writes the response.</summary>
public sealed partial class JobReader(JobStore store, JobSignals signals, WorkerSlotStore slots, PodStore pods,
    GpuStore gpus,
    IHostApplicationLifetime lifetime, TimeProvider time)
{
    /// <summary>Maximum age of a cached wait reason. All requests for one endpoint share the cached reason.</summary>
    private static readonly TimeSpan ReasonAge = TimeSpan.FromMilliseconds(100);

    /// <summary>
    /// Maximum number of cached reasons before expired ones are removed. Reasons of deleted endpoints would otherwise
    /// remain.
    /// </summary>
    private const int MaxReasons = 64;

    private readonly ConcurrentDictionary<string, (long At, Task<Waiting> Known)> reasons = [];

    /// <summary>
    /// Returns the job of the request when it has ended or the wait is over. Null: an error response was written.
    /// </summary>
    public Task<Job?> FindAsync(HttpContext context, TimeSpan wait) =>
        FindAsync(context, wait, context.Admission().Caller is { Scope.MayRead: true });

    /// <summary>
    /// Returns the job of the request, if its caller may change it: the job is the caller's, or the key is an admin
    /// key. Null: an error response was written.
    /// </summary>
    public Task<Job?> FindToChangeAsync(HttpContext context) =>
        FindAsync(context, TimeSpan.Zero, context.Admission().Caller is { Scope.Admin: true });

    /// <summary>
    /// Waits until a job has ended, the time is over, or the gateway stops. Null: the job does not exist.
    /// </summary>
    public async Task<Job?> WaitAsync(string endpoint, string id, TimeSpan wait, CancellationToken ct)
    {
        if (wait <= TimeSpan.Zero) return await store.LookAsync(endpoint, id, null, ct);
        using var watch = signals.Watch(endpoint, id);
        var started = time.GetTimestamp();
        while (true)
        {
            var job = await store.LookAsync(endpoint, id, signals.Watcher, ct);
            var left = wait - time.GetElapsedTime(started);
            if (job is null || job.IsFinal || left <= TimeSpan.Zero
                || lifetime.ApplicationStopping.IsCancellationRequested) return job;
            await watch.ChangedAsync(left, ct);
        }
    }

    /// <summary>Writes the complete job, with the wait reason if it is queued.</summary>
    public async Task AnswerAsync(HttpContext context, Job job)
    {
        var queue = job.Status == JobStatus.Queued ? await GetWaitReasonAsync(context, job) : null;
        var body = JobView.Write(job, queue);
        if (PollCharge.Find(context) is { } charge)
            await charge.TakeAsync(body.Length, PollCharge.Bytes, context.RequestAborted);
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = body.Length;
        if (job.Worker is { } worker) context.Response.Headers["X-Sluice-Worker"] = worker;
        context.Response.Headers["X-Sluice-Job"] = job.Id;
        await context.Response.Body.WriteAsync(body, context.RequestAborted);
    }

    private async Task<Job?> FindAsync(HttpContext context, TimeSpan wait, bool isForAll)
    {
        var admission = context.Admission();
        var id = (string)context.Request.RouteValues["id"]!;
        var endpoint = admission.Deployment!.Endpoint.Id;
        // The id is part of a Redis key, so only valid ids are looked up.
        var job = Id().IsMatch(id) ? await WaitAsync(endpoint, id, wait, context.RequestAborted) : null;
        if (job is null || (job.Flow != admission.Flow && !isForAll))
        {
            await Problem.WriteAsync(context, StatusCodes.Status404NotFound,
                $"Endpoint '{admission.Named!.Endpoint.Id}' has no job '{id}'.");
            return null;
        }

        if (!job.Expired) return job;
        await WriteGoneAsync(context, job);
        return null;
    }

    private async Task<QueueView> GetWaitReasonAsync(HttpContext context, Job job)
    {
        var admission = context.Admission();
        var deployment = admission.Deployment!;
        var id = deployment.Endpoint.Id;
        if (reasons.Count >= MaxReasons && !reasons.ContainsKey(id)) DropOldReasons();
        var entry = reasons.GetOrAdd(id, _ => StartRead(deployment));
        if (time.GetElapsedTime(entry.At) > ReasonAge || entry.Known.IsFaulted)
            reasons[id] = entry = StartRead(deployment);
        var known = await entry.Known;
        return WaitReason.Explain(job, deployment.Endpoint, known.Snapshot, known.Blocked, known.Wait, known.Pods,
            anonymous: admission.Caller is null);
    }

    private void DropOldReasons()
    {
        foreach (var entry in reasons)
            if (time.GetElapsedTime(entry.Value.At) > ReasonAge) reasons.TryRemove(entry);
    }

    private (long At, Task<Waiting> Known) StartRead(Deployment deployment) =>
        (time.GetTimestamp(), ReadWaitingAsync(deployment));

    private async Task<Waiting> ReadWaitingAsync(Deployment deployment)
    {
        var id = deployment.Endpoint.Id;
        var snapshot = await slots.SnapshotAsync(id, CancellationToken.None);
        var none = snapshot.Workers.Count == 0;
        return new Waiting(snapshot, none ? snapshot.Blocked : null,
            deployment.Template.Gpu is null ? null : await gpus.WaitOfAsync(id, CancellationToken.None),
            none ? await pods.ListAsync(id, CancellationToken.None) : []);
    }

    /// <summary>The data about an endpoint from which the wait reasons of its jobs are derived.</summary>
    private sealed record Waiting(EndpointSnapshot Snapshot, BlockedStart? Blocked, GpuWait? Wait,
        IReadOnlyList<Pod> Pods);

    /// <summary>Writes a 410 response with the remaining data of an expired job.</summary>
    private static async Task WriteGoneAsync(HttpContext context, Job job)
    {
        context.Response.StatusCode = StatusCodes.Status410Gone;
        context.Response.ContentType = Problem.ContentType;
        await using var json = new Utf8JsonWriter(context.Response.BodyWriter, JobView.Options);
        var detail = $"Job {job.Id} ended with status {job.Status}. Its data was deleted after jobs.retention of the "
            + "endpoint.";
        json.WriteStartObject();
        json.WriteString("title", "Gone");
        json.WriteNumber("status", StatusCodes.Status410Gone);
        json.WriteString("detail", detail);
        json.WriteString("error", detail);
        json.WriteString("requestId", context.TraceIdentifier);
        json.WritePropertyName("job");
        JobView.Write(json, job, null);
        json.WriteEndObject();
        await json.FlushAsync(context.RequestAborted);
    }

    [GeneratedRegex("^[A-Za-z0-9_-]{1,100}\\z")]
    private static partial Regex Id();
}
