using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Sluice.Dispatch;
using Sluice.Domain.Fleet;
using Sluice.Domain.Jobs;
using Sluice.Gateway.Audit;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Gateway.Selection;
using Sluice.Gateway.Usage;
using Sluice.Storage.Fleet;
using Sluice.Storage.Jobs;
using Sluice.Storage.Queueing;

namespace Sluice.Gateway.Jobs;

/// <summary>
/// <c>/v2/{endpoint}/...</c>: asynchronous jobs, wire-compatible with RunPod Serverless. Only the API key that
/// submitted a job and admin keys can access the job. Other keys get 404.
/// </summary>
public sealed class JobsApi(JobSubmitter submitter, JobReader reader, JobStore store, JobQueries queries,
    JobStreamApi streams, BudgetGuard budgets,
    WorkerSlotStore slots, PodStore pods, GpuStore gpus, Dispatcher dispatcher, JobSignals signals)
{
    /// <summary>Maps the routes.</summary>
    public void Map(IEndpointRouteBuilder routes)
    {
        const string jobs = "/v2/{endpoint}";
        routes.MapRoute("POST", jobs + "/run", AccessLevel.Invoke, "Submit a job and return its id",
            submitter.RunAsync).Produces<JobState>().WithMetadata(SharesWithCanaries.Instance);
        routes.MapRoute("POST", jobs + "/runsync", AccessLevel.Invoke,
            "Submit a job and wait until it ends, at most ?wait= ms", submitter.RunSyncAsync)
            .Produces<JobResponse>().WithMetadata(SharesWithCanaries.Instance);
        foreach (var method in new[] { "GET", "POST" })
        {
            routes.MapRoute(method, jobs + "/status/{id}", AccessLevel.ReadJobs, "Get the current state of a job",
                (HttpContext c) => StatusAsync(c, TimeSpan.Zero))
                .Produces<JobResponse>().WithMetadata(new Polled());
            routes.MapRoute(method, jobs + "/status-sync/{id}", AccessLevel.ReadJobs,
                "Wait until a job ends, at most ?wait= ms, and get its state",
                (HttpContext c) => ReadWait(c) is { } wait ? StatusAsync(c, wait) : BadWaitAsync(c))
                .Produces<JobResponse>().WithMetadata(new Polled());
            routes.MapRoute(method, jobs + "/stream/{id}", AccessLevel.ReadJobs,
                "Read the stream of a job: the next chunks as JSON, or all chunks as server-sent events (Accept: "
                + "text/event-stream)", streams.StreamAsync)
                .Produces<JobStreamPart>().WithMetadata(new Polled());
        }

        routes.MapRoute("GET", jobs + "/input/{id}", AccessLevel.ReadJobs,
            "Get the input of a job as it was submitted; 410 after it was deleted", InputAsync)
            .Produces<JsonElement>().WithMetadata(new Polled());
        routes.MapRoute("POST", jobs + "/cancel/{id}", AccessLevel.Invoke, "Cancel a queued or running job",
            CancelAsync)
            .Produces<JobState>().WithMetadata(new Polled());
        routes.MapRoute("POST", jobs + "/retry/{id}", AccessLevel.Invoke,
            "Retry a failed or timed-out job under the same id", RetryAsync)
            .Produces<JobState>().WithMetadata(new Polled());
        routes.MapRoute("POST", jobs + "/purge-queue", AccessLevel.Invoke,
            "Cancel the queued jobs of the caller's key, or of all keys for an admin key",
            (HttpContext c) =>
            PurgeAsync(c, (id, flow, ct) => store.PurgeAsync(id, flow, ct,
            (tickets, ends) => ChargeAsync(c, tickets, ends))))
            .Produces<PurgeResult>().WithMetadata(new Polled(), new Audited($"POST {jobs}/purge-queue"));
        routes.MapRoute("GET", jobs + "/health", AccessLevel.ReadJobs, "Count jobs and workers by state", HealthAsync)
            .Produces<JobHealth>().WithMetadata(new Polled());
        routes.MapRoute("GET", jobs + "/requests", AccessLevel.ReadJobs,
            "List jobs, newest first; ?status=, ?offset= (next of the previous response), ?limit=",
            (HttpContext c) => ListAsync(c, dead: false)).Produces<JobList>().WithMetadata(new Polled());
        routes.MapRoute("GET", jobs + "/dead-letters", AccessLevel.ReadJobs,
            "List dead letters (jobs without a remaining attempt), newest first",
            (HttpContext c) => ListAsync(c, dead: true)).Produces<JobList>().WithMetadata(new Polled());
        routes.MapRoute("DELETE", jobs + "/dead-letters", AccessLevel.Invoke, "Delete the dead letters",
            (HttpContext c) =>
            PurgeAsync(c, (id, flow, ct) => queries.PurgeDeadAsync(id, flow, ct, jobs => ChargeAsync(c, jobs))))
            .Produces<PurgeResult>().WithMetadata(new Polled(), new Audited($"DELETE {jobs}/dead-letters"));
    }

    /// <summary>Reads <c>?wait=</c> in ms, clamped to the limits of RunPod. Null: the value is not a number.</summary>
    internal static TimeSpan? ReadWait(HttpContext context)
    {
        if (context.Request.Query["wait"] is not [{ Length: > 0 } text]) return TimeSpan.FromSeconds(90);
        return double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var ms) && !double.IsNaN(ms)
            ? TimeSpan.FromMilliseconds(Math.Clamp(ms, 1000, 300_000)) : null;
    }

    internal static Task BadWaitAsync(HttpContext context) =>
        Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
        $"wait is '{context.Request.Query["wait"]}'; expected a number of ms from 1000 to 300000.");

    private async Task StatusAsync(HttpContext context, TimeSpan wait)
    {
        if (await reader.FindAsync(context, wait) is { } job) await reader.AnswerAsync(context, job);
    }

    /// <summary>
    /// Writes the input of a job. A large input is deleted when its job completes or is cancelled, so that it frees its
    /// memory.
    /// </summary>
    private async Task InputAsync(HttpContext context)
    {
        if (await reader.FindAsync(context, TimeSpan.Zero) is not { } job) return;
        var charge = PollCharge.Find(context);
        var aborted = context.RequestAborted;
        var read = await store.InputAsync(job.EndpointId, job.Id, aborted,
            bytes => charge?.TakeAsync(bytes, PollCharge.Bytes, aborted) ?? Task.CompletedTask);
        if (read is not { } stored)
        {
            await Problem.WriteAsync(context, StatusCodes.Status410Gone,
                $"The input of job {job.Id} had more than 1 KiB, and was deleted when the job ended as {job.Status}.");
            return;
        }

        context.Response.ContentType = "application/json";
        context.Response.ContentLength = stored.Input.Length;
        await context.Response.Body.WriteAsync(stored.Input, aborted);
    }

    private async Task CancelAsync(HttpContext context)
    {
        if (await reader.FindToChangeAsync(context) is not { } job) return;
        var end = await store.CancelAsync(job.EndpointId, job.Id, context.RequestAborted);
        dispatcher.StopJob(job.EndpointId, job.Id);
        signals.Changed(job.EndpointId, job.Id);
        if (end.Ended) await budgets.SettleJobAsync(job.EndpointId, job.Flow, job.Id, 0);
        await WriteStateAsync(context, job.Id, end.Status);
    }

    private async Task RetryAsync(HttpContext context)
    {
        if (await reader.FindToChangeAsync(context) is not { } job) return;
        if (job.Status is JobStatus.Failed or JobStatus.TimedOut
            && await budgets.TryReserveRetryAsync(job) is { } refusal)
        {
            await budgets.RefuseAsync(context, context.Admission(), refusal);
            return;
        }

        var (did, status) = await store.RetryAsync(job.EndpointId, job.Id, context.RequestAborted);
        if (did != "ok")
        {
            if (did == "corrupted") await budgets.SettleJobAsync(job.EndpointId, job.Flow, job.Id, 0);
            await Problem.WriteAsync(context, StatusCodes.Status409Conflict, did == "corrupted"
                ? $"The submission of job {job.Id} cannot be read; submit the job again."
                : $"The status of job {job.Id} is '{status}'; expected FAILED or TIMED_OUT.");
            return;
        }

        dispatcher.JobQueued(job.EndpointId);
        await WriteStateAsync(context, job.Id, status);
    }

    private static async Task PurgeAsync(HttpContext context,
        Func<string, string?, CancellationToken, Task<long>> purge)
    {
        if (await RequireCallerAsync(context) is not { } caller) return;
        var removed = await purge(Id(context), GetFlow(caller), context.RequestAborted);
        AuditDetails.Set(context, null, new JsonObject { ["removed"] = removed });
        await WriteAsync(context, new PurgeResult(removed), JobResponseJson.Relaxed.PurgeResult);
    }

    private async Task HealthAsync(HttpContext context)
    {
        var id = Id(context);
        var ct = context.RequestAborted;
        var counts = await queries.CountAsync(id, ct);
        var snapshot = await slots.SnapshotAsync(id, ct);
        var all = await pods.ListAsync(id, ct);
        var ready = all.Count(p => p.State == PodState.Ready);
        var wait = context.Admission().Deployment!.Template.Gpu is null ? null : await gpus.WaitOfAsync(id, ct);
        var concurrency = context.Admission().Deployment!.Template.Concurrency;
        var running = Math.Min(ready, (snapshot.Busy + concurrency - 1) / concurrency);
        var capacity = wait is null ? null : new CapacityShortage(
            wait.Never ? WaitReason.NoFittingGpu : WaitReason.NoCapacity,
            wait.TextFor(context.Admission().Caller is null),
            wait.Since);
        await WriteAsync(context, new JobHealth(
            new JobCountsByState(counts.Completed, counts.Failed, InProgress: counts.Running, InQueue: counts.Queued,
                counts.Retried, counts.Cancelled, counts.TimedOut),
            new WorkersByState(
                Idle: ready - running,
                Initializing: all.Count(p => p.State == PodState.Starting),
                ready,
                running,
                Throttled: wait?.Workers ?? 0,
                Unhealthy: all.Count(p => p.State == PodState.Failed)),
            capacity), JobResponseJson.Relaxed.JobHealth);
    }

    private async Task ListAsync(HttpContext context, bool dead)
    {
        if (await RequireCallerAsync(context) is not { } caller
            || await Paging.ReadAsync(context) is not var (offset, limit)) return;
        string? status = context.Request.Query["status"] is [{ Length: > 0 } given] ? given : null;
        if (status is not null && !JobStatus.All.Contains(status))
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
                $"status is '{status}'; expected one of {string.Join(", ", JobStatus.All)}.");
            return;
        }

        var (id, ct) = (Id(context), context.RequestAborted);
        var flow = caller.Scope.MayRead ? null : caller.KeyId;
        var page = dead ? await queries.DeadAsync(id, flow, offset, limit, ct, ChargeAsync)
            : await queries.ListAsync(id, flow, status, offset, limit, ct, ChargeAsync);
        context.Response.ContentType = "application/json";
        await using var json = new Utf8JsonWriter(context.Response.BodyWriter, JobView.Options);
        json.WriteStartObject();
        json.WriteStartArray("requests");
        foreach (var job in page.Jobs) JobView.Write(json, job, null);
        json.WriteEndArray();
        json.WriteNumber("offset", offset);
        json.WriteNumber("limit", limit);
        json.WriteBoolean("hasMore", page.Next is not null);
        if (page.Next is { } next) json.WriteNumber("next", next);
        json.WriteEndObject();
        await json.FlushAsync(context.RequestAborted);

        Task ChargeAsync(int jobs) => JobsApi.ChargeAsync(context, jobs);
    }

    /// <summary>Charges the caller's key for reading jobs, and waits while the key exceeds its rate.</summary>
    private static Task ChargeAsync(HttpContext context, int jobs) =>
        PollCharge.Find(context)?.TakeAsync(jobs, PollCharge.Jobs, context.RequestAborted) ?? Task.CompletedTask;

    /// <summary>
    /// Charges the caller's key for reading queue entries and ending jobs, and waits while the key exceeds its rate.
    /// </summary>
    private static async Task ChargeAsync(HttpContext context, int tickets, int ends)
    {
        if (PollCharge.Find(context) is not { } charge) return;
        await charge.TakeAsync(tickets, PollCharge.Tickets, context.RequestAborted);
        await charge.TakeAsync(ends, PollCharge.Ends, context.RequestAborted);
    }

    /// <summary>
    /// Returns the caller of a request that does not name a job. Such a request needs an API key even on a public
    /// endpoint: otherwise any client could see and cancel the jobs of other clients. Null: an error response was
    /// written.
    /// </summary>
    private static async Task<Caller?> RequireCallerAsync(HttpContext context)
    {
        if (context.Admission().Caller is { } caller) return caller;
        context.Response.Headers.WWWAuthenticate = "Bearer";
        await Problem.WriteAsync(context, StatusCodes.Status401Unauthorized,
            "This request covers all jobs of an API key, so it needs a key even on a public endpoint. Send "
            + "'Authorization: Bearer KEY'.");
        return null;
    }

    /// <summary>Returns the flow whose jobs the caller may change. Null: all flows.</summary>
    private static string? GetFlow(Caller caller) => caller.Scope.Admin ? null : caller.KeyId;

    private static string Id(HttpContext context) => context.Admission().Deployment!.Endpoint.Id;

    private static Task WriteStateAsync(HttpContext context, string id, string status) =>
        WriteAsync(context, new JobState(id, status), JobResponseJson.Relaxed.JobState);

    private static Task WriteAsync<T>(HttpContext context, T value, JsonTypeInfo<T> type) =>
        context.Response.WriteAsJsonAsync(value, type, "application/json", context.RequestAborted);
}
