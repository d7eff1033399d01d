using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.RegularExpressions;
using Sluice.Core.Dispatch;
using Sluice.Core.Endpoints;
using Sluice.Core.Gpus;
using Sluice.Core.Jobs;
using Sluice.Core.Workers;
using Sluice.Gateway.Api;
using Sluice.Gateway.Auth;

namespace Sluice.Gateway.Jobs;

/// <summary>Finds the job that a request names, waits for it, and answers with it.</summary>
public sealed partial class JobReader(JobStore store, JobSignals signals, WorkerSlotStore slots, PodStore pods, GpuStore gpus,
    IHostApplicationLifetime lifetime, TimeProvider time)
{
    /// <summary>How old the reason may be that many pollers of one endpoint are told.</summary>
    private static readonly TimeSpan ReasonAge = TimeSpan.FromMilliseconds(100);

    /// <summary>Reasons that are kept although they are too old: endpoints come and go.</summary>
    private const int MostReasons = 64;

    private readonly ConcurrentDictionary<string, (long At, Task<Waiting> Known)> reasons = [];

    /// <summary>The job, when it has ended or the wait is over; null: the client was told that there is none.</summary>
    public async Task<Job?> FindAsync(HttpContext context, TimeSpan wait)
    {
        var admission = context.Admission();
        var (endpoint, id) = (admission.Deployment!.Endpoint.Id, (string)context.Request.RouteValues["id"]!);
        // An id becomes part of a key: what cannot be one is not looked for.
        var job = Id().IsMatch(id) ? await WaitAsync(endpoint, id, wait, context.RequestAborted) : null;
        if (job is null || (job.Flow != admission.Flow && admission is not { Caller.Scope.Admin: true }))
        {
            await Problem.WriteAsync(context, StatusCodes.Status404NotFound, $"endpoint '{endpoint}' has no job '{id}'");
            return null;
        }

        if (!job.Expired) return job;
        await GoneAsync(context, job);
        return null;
    }

    /// <summary>Looks at a job until it has ended, the time is over, or the gateway stops.</summary>
    public async Task<Job?> WaitAsync(string endpoint, string id, TimeSpan wait, CancellationToken ct)
    {
        if (wait <= TimeSpan.Zero) return await store.LookAsync(endpoint, id, null, ct);
        using var watch = signals.Watch(endpoint, id);
        var started = time.GetTimestamp();
        while (true)
        {
            var job = await store.LookAsync(endpoint, id, signals.Watcher, ct);
            var left = wait - time.GetElapsedTime(started);
            if (job is null || job.IsFinal || left <= TimeSpan.Zero || lifetime.ApplicationStopping.IsCancellationRequested) return job;
            await watch.ChangedAsync(left, ct);
        }
    }

    /// <summary>The whole job, and why it waits.</summary>
    public async Task AnswerAsync(HttpContext context, Job job)
    {
        var queue = job.Status == JobStatus.Queued ? await WhyAsync(context, job) : null;
        var body = JobView.Write(job, queue);
        if (PollCharge.Of(context) is { } charge) await charge.TakeAsync(body.Length, PollCharge.Bytes, context.RequestAborted);
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = body.Length;
        if (job.Worker is { } worker) context.Response.Headers["X-Sluice-Worker"] = worker;
        context.Response.Headers["X-Sluice-Job"] = job.Id;
        await context.Response.Body.WriteAsync(body, context.RequestAborted);
    }

    private async Task<QueueView> WhyAsync(HttpContext context, Job job)
    {
        var admission = context.Admission();
        var deployment = admission.Deployment!;
        var id = deployment.Endpoint.Id;
        if (reasons.Count >= MostReasons && !reasons.ContainsKey(id)) DropOldReasons();
        var entry = reasons.GetOrAdd(id, _ => Ask(deployment));
        if (time.GetElapsedTime(entry.At) > ReasonAge || entry.Known.IsFaulted) reasons[id] = entry = Ask(deployment);
        var known = await entry.Known;
        return WaitReason.Of(job, deployment.Endpoint, known.Snapshot, known.Blocked, known.Wait, known.Pods, anonymous: admission.Caller is null);
    }

    private void DropOldReasons()
    {
        foreach (var entry in reasons)
            if (time.GetElapsedTime(entry.Value.At) > ReasonAge) reasons.TryRemove(entry);
    }

    private (long At, Task<Waiting> Known) Ask(Deployment deployment) => (time.GetTimestamp(), AskAsync(deployment));

    private async Task<Waiting> AskAsync(Deployment deployment)
    {
        var id = deployment.Endpoint.Id;
        var snapshot = await slots.SnapshotAsync(id, CancellationToken.None);
        var none = snapshot.Workers.Count == 0;
        return new Waiting(snapshot, none ? snapshot.Blocked : null,
            deployment.Template.Gpu is null ? null : await gpus.WaitOfAsync(id, CancellationToken.None),
            none ? await pods.ListAsync(id, CancellationToken.None) : []);
    }

    /// <summary>What the jobs of an endpoint wait for, as it was read once for all that ask.</summary>
    private sealed record Waiting(EndpointSnapshot Snapshot, BlockedStart? Blocked, GpuWait? Wait, IReadOnlyList<Pod> Pods);

    /// <summary>410 with what is still known.</summary>
    private static async Task GoneAsync(HttpContext context, Job job)
    {
        context.Response.StatusCode = StatusCodes.Status410Gone;
        context.Response.ContentType = Problem.ContentType;
        await using var json = new Utf8JsonWriter(context.Response.BodyWriter, JobView.Options);
        var detail = $"job {job.Id} ended {job.Status}; its data was kept for the endpoint's jobs.retention and is gone";
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

    [GeneratedRegex("^[A-Za-z0-9_-]{1,64}\\z")]
    private static partial Regex Id();
}
