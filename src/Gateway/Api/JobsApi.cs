using System.Globalization;
using System.Text.Json;
using Sluice.Core.Dispatch;
using Sluice.Core.Endpoints;
using Sluice.Core.Gpus;
using Sluice.Core.Jobs;
using Sluice.Core.Workers;
using Sluice.Gateway.Auth;
using Sluice.Gateway.Jobs;
using Sluice.Gateway.Streaming;

namespace Sluice.Gateway.Api;

/// <summary>
/// <c>/v2/{endpoint}/...</c>: asynchronous jobs, wire-compatible with RunPod Serverless. A job is seen by the key that submitted it
/// and by admins; for others it does not exist.
/// </summary>
public sealed class JobsApi(JobSubmitter submitter, JobReader reader, JobStore store, JobQueries queries, JobStreamApi streams,
    WorkerSlotStore slots, PodStore pods, GpuStore gpus, Dispatcher dispatcher, JobSignals signals)
{
    public void Map(IEndpointRouteBuilder routes)
    {
        const string jobs = "/v2/{endpoint}";
        routes.On("POST", jobs + "/run", Demand.Invoke, "Submit a job; answers at once with its id", submitter.RunAsync);
        routes.On("POST", jobs + "/runsync", Demand.Invoke, "Submit a job and wait for its end, up to ?wait=ms", submitter.RunSyncAsync);
        foreach (var method in new[] { "GET", "POST" })
        {
            routes.On(method, jobs + "/status/{id}", Demand.Invoke, "A job as it is now", (HttpContext c) => StatusAsync(c, TimeSpan.Zero))
                .WithMetadata(new Polled());
            routes.On(method, jobs + "/status-sync/{id}", Demand.Invoke, "A job as it is when it has ended, or after ?wait=ms",
                (HttpContext c) => WaitOf(c) is { } wait ? StatusAsync(c, wait) : BadWaitAsync(c)).WithMetadata(new Polled());
            routes.On(method, jobs + "/stream/{id}", Demand.Invoke,
                "What a job streamed: the next part as JSON, or all of it as server-sent events (Accept: text/event-stream)", streams.StreamAsync)
                .WithMetadata(new Polled());
        }

        routes.On("POST", jobs + "/cancel/{id}", Demand.Invoke, "Cancel a job, whether it waits or runs", CancelAsync).WithMetadata(new Polled());
        routes.On("POST", jobs + "/retry/{id}", Demand.Invoke, "Queue a job that failed or timed out again, under its id", RetryAsync).WithMetadata(new Polled());
        routes.On("POST", jobs + "/purge-queue", Demand.Invoke, "Cancel what waits (of the caller's key; of all keys for an admin)",
            (HttpContext c) => PurgeAsync(c, (id, flow, ct) => store.PurgeAsync(id, flow, ct, (tickets, ends) => PayAsync(c, tickets, ends))))
            .WithMetadata(new Polled());
        routes.On("GET", jobs + "/health", Demand.Invoke, "How many jobs and workers are in which state", HealthAsync).WithMetadata(new Polled());
        routes.On("GET", jobs + "/requests", Demand.Invoke, "Jobs, the newest first; ?status=, ?offset= (go on with the answer's next), ?limit=",
            (HttpContext c) => ListAsync(c, dead: false)).WithMetadata(new Polled());
        routes.On("GET", jobs + "/dead-letters", Demand.Invoke, "Jobs that lost every worker they were given, the newest first",
            (HttpContext c) => ListAsync(c, dead: true)).WithMetadata(new Polled());
        routes.On("DELETE", jobs + "/dead-letters", Demand.Invoke, "Forget the dead letters",
            (HttpContext c) => PurgeAsync(c, (id, flow, ct) => queries.PurgeDeadAsync(id, flow, ct, jobs => PayAsync(c, jobs)))).WithMetadata(new Polled());
    }

    /// <summary>?wait= in ms, between RunPod's bounds; null: it is no number.</summary>
    internal static TimeSpan? WaitOf(HttpContext context)
    {
        if (context.Request.Query["wait"] is not [{ Length: > 0 } text]) return TimeSpan.FromSeconds(90);
        return double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var ms) && !double.IsNaN(ms)
            ? TimeSpan.FromMilliseconds(Math.Clamp(ms, 1000, 300_000)) : null;
    }

    internal static Task BadWaitAsync(HttpContext context) => Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
        $"wait is '{context.Request.Query["wait"]}', expected ms, 1000 to 300000");

    private async Task StatusAsync(HttpContext context, TimeSpan wait)
    {
        if (await reader.FindAsync(context, wait) is { } job) await reader.AnswerAsync(context, job);
    }

    private async Task CancelAsync(HttpContext context)
    {
        if (await reader.FindAsync(context, TimeSpan.Zero) is not { } job) return;
        var end = await store.CancelAsync(job.EndpointId, job.Id, context.RequestAborted);
        dispatcher.StopJob(job.EndpointId, job.Id);
        signals.Changed(job.EndpointId, job.Id);
        await StateAsync(context, job.Id, end.Status);
    }

    private async Task RetryAsync(HttpContext context)
    {
        if (await reader.FindAsync(context, TimeSpan.Zero) is not { } job) return;
        var (did, status) = await store.RetryAsync(job.EndpointId, job.Id, context.RequestAborted);
        if (did != "ok")
        {
            await Problem.WriteAsync(context, StatusCodes.Status409Conflict,
                $"job {job.Id} is {status}: only a job that is FAILED or TIMED_OUT can be retried");
            return;
        }

        dispatcher.JobQueued(job.EndpointId);
        await StateAsync(context, job.Id, status);
    }

    private static async Task PurgeAsync(HttpContext context, Func<string, string?, CancellationToken, Task<long>> purge)
    {
        if (await KnownAsync(context) is not { } caller) return;
        var removed = await purge(Id(context), FlowOf(caller), context.RequestAborted);
        await JsonAsync(context, json => json.WriteString("status", "completed"), removed);
    }

    private async Task HealthAsync(HttpContext context)
    {
        var (id, ct) = (Id(context), context.RequestAborted);
        var (counts, snapshot, all) = (await queries.CountAsync(id, ct), await slots.SnapshotAsync(id, ct), await pods.ListAsync(id, ct));
        var ready = all.Count(p => p.State == PodState.Ready);
        var wait = context.Admission().Deployment!.Template.Gpu is null ? null : await gpus.WaitOfAsync(id, ct);
        var concurrency = context.Admission().Deployment!.Template.Concurrency;
        var running = Math.Min(ready, (snapshot.Busy + concurrency - 1) / concurrency);
        await JsonAsync(context, json =>
        {
            json.WriteStartObject("jobs");
            json.WriteNumber("completed", counts.Completed);
            json.WriteNumber("failed", counts.Failed);
            json.WriteNumber("inProgress", counts.Running);
            json.WriteNumber("inQueue", counts.Queued);
            json.WriteNumber("retried", counts.Retried);
            json.WriteNumber("cancelled", counts.Cancelled);
            json.WriteNumber("timedOut", counts.TimedOut);
            json.WriteEndObject();
            json.WriteStartObject("workers");
            json.WriteNumber("idle", ready - running);
            json.WriteNumber("initializing", all.Count(p => p.State == PodState.Starting));
            json.WriteNumber("ready", ready);
            json.WriteNumber("running", running);
            json.WriteNumber("throttled", wait?.Workers ?? 0);
            json.WriteNumber("unhealthy", all.Count(p => p.State == PodState.Failed));
            json.WriteEndObject();
            if (wait is null) return;
            json.WriteStartObject("capacity");
            json.WriteString("reason", wait.Never ? WaitReason.NoFittingGpu : WaitReason.NoCapacity);
            json.WriteString("detail", wait.Text);
            json.WriteString("since", wait.Since);
            json.WriteEndObject();
        });
    }

    private async Task ListAsync(HttpContext context, bool dead)
    {
        if (await KnownAsync(context) is not { } caller || await Paging.ReadAsync(context) is not var (offset, limit)) return;
        string? status = context.Request.Query["status"] is [{ Length: > 0 } wanted] ? wanted : null;
        if (status is not null && !JobStatus.All.Contains(status))
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
                $"status is '{status}', expected one of {string.Join(", ", JobStatus.All)}");
            return;
        }

        var (id, flow, ct) = (Id(context), FlowOf(caller), context.RequestAborted);
        var page = dead ? await queries.DeadAsync(id, flow, offset, limit, ct, PayAsync)
            : await queries.ListAsync(id, flow, status, offset, limit, ct, PayAsync);
        await JsonAsync(context, json =>
        {
            json.WriteStartArray("requests");
            foreach (var job in page.Jobs) JobView.Write(json, job, null);
            json.WriteEndArray();
            json.WriteNumber("offset", offset);
            json.WriteNumber("limit", limit);
            json.WriteBoolean("hasMore", page.Next is not null);
            if (page.Next is { } next) json.WriteNumber("next", next);
        });

        Task PayAsync(int jobs) => JobsApi.PayAsync(context, jobs);
    }

    /// <summary>Waits until the caller's key may have so many jobs read.</summary>
    private static Task PayAsync(HttpContext context, int jobs) =>
        PollCharge.Of(context)?.TakeAsync(jobs, PollCharge.Jobs, context.RequestAborted) ?? Task.CompletedTask;

    /// <summary>Waits until the caller's key may have so many places of the queue read and so many jobs ended.</summary>
    private static async Task PayAsync(HttpContext context, int tickets, int ends)
    {
        if (PollCharge.Of(context) is not { } charge) return;
        await charge.TakeAsync(tickets, PollCharge.Tickets, context.RequestAborted);
        await charge.TakeAsync(ends, PollCharge.Ends, context.RequestAborted);
    }

    /// <summary>Who asks about jobs that he does not name. On a public endpoint nobody is known: one could see, and cancel, what
    /// others sent. Null: the client was told.</summary>
    private static async Task<Caller?> KnownAsync(HttpContext context)
    {
        if (context.Admission().Caller is { } caller) return caller;
        context.Response.Headers.WWWAuthenticate = "Bearer";
        await Problem.WriteAsync(context, StatusCodes.Status401Unauthorized,
            "this is about the jobs of a key: send one (Authorization: Bearer ...), although the endpoint is public");
        return null;
    }

    /// <summary>Whose jobs a question without an id is about; null: everybody's.</summary>
    private static string? FlowOf(Caller caller) => caller.Scope.Admin ? null : caller.KeyId;

    private static string Id(HttpContext context) => context.Admission().Deployment!.Endpoint.Id;

    private static Task StateAsync(HttpContext context, string id, string status) => JsonAsync(context, json =>
    {
        json.WriteString("id", id);
        json.WriteString("status", status);
    });

    private static async Task JsonAsync(HttpContext context, Action<Utf8JsonWriter> write, long? removed = null)
    {
        context.Response.ContentType = "application/json";
        await using var json = new Utf8JsonWriter(context.Response.BodyWriter, JobView.Options);
        json.WriteStartObject();
        if (removed is { } n) json.WriteNumber("removed", n);
        write(json);
        json.WriteEndObject();
        await json.FlushAsync(context.RequestAborted);
    }
}
