using System.Globalization;
using System.Text.Json;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Storage.Fleet;
using Sluice.Storage.Redis;

namespace Sluice.Gateway.Management;

/// <summary>
/// <c>/api/v1/endpoints/{id}/workers/{worker}/logs</c>: what a worker wrote, also after it has ended, as JSON or as
/// server-sent events that follow it.
/// </summary>
public sealed class WorkerLogsApi(
    WorkerLogStore logs, PodStore pods, ManagementEventStreams streams, TimeProvider time)
{
    private const int DefaultTail = 200;

    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(15);

    /// <summary>How long a log is still read after its worker has ended: its last lines are stored late.</summary>
    private static readonly TimeSpan LastLines = TimeSpan.FromSeconds(1);

    /// <summary>Maps the routes.</summary>
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapRoute("GET", "/api/v1/endpoints/{id}/logs", AccessLevel.Read,
            "List the workers of an endpoint whose logs are stored, running or not, newest first",
            async (HttpContext context, string id) =>
            {
                if (!EndpointRules.IsId(id))
                {
                    await Problem.WriteAsync(
                        context, StatusCodes.Status404NotFound, $"The endpoint '{id}' does not exist.");
                    return;
                }

                var ct = context.RequestAborted;
                var (stored, known) = (await logs.ListAsync(id, ct), await pods.ListAsync(id, ct));
                var states = known.ToDictionary(p => p.Id, p => p.State.ToString().ToLowerInvariant());
                await context.Response.WriteAsJsonAsync(new WorkerLogList(await Task.WhenAll(
                    stored.OrderByDescending(l => l.Value).Select(async l =>
                    {
                        var state = states.GetValueOrDefault(l.Key, "ended");
                        var reason = state is "ended" or "failed" ? await ReasonAsync(id, l.Key, ct) : null;
                        return new WorkerLogEntry(l.Key, state, l.Value, reason);
                    }))), ct);
            }).Produces<WorkerLogList>();
        routes.MapRoute("GET", "/api/v1/endpoints/{id}/workers/{worker}/logs", AccessLevel.Read,
            "Read the last lines of a worker's output, also after it has ended; ?tail= (default 200, at most 1000), "
            + "?requestId= returns only lines that contain this id, ?follow=true continues with new lines as "
            + "server-sent events", ReadAsync).Produces<WorkerLogView>();
    }

    private async Task ReadAsync(HttpContext context, string id, string worker)
    {
        var ct = context.RequestAborted;
        var (given, follow) = (context.Request.Query["tail"].ToString(), context.Request.Query["follow"].ToString());
        var tail = DefaultTail;
        if (given.Length > 0 && (!int.TryParse(given, NumberStyles.None, CultureInfo.InvariantCulture, out tail)
            || tail > WorkerLogStore.MaxLines))
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
                $"tail is '{given}'; expected a whole number from 0 to {WorkerLogStore.MaxLines}.");
            return;
        }

        if (follow is not ("" or "true" or "false"))
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
                $"follow is '{follow}'; expected true or false.");
            return;
        }

        var request = context.Request.Query["requestId"].ToString();
        var isKnown = EndpointRules.IsId(id) && await IsKnownAsync(id, worker, ct);
        if (!isKnown)
            await Problem.WriteAsync(context, StatusCodes.Status404NotFound,
                $"Endpoint '{id}' has no worker '{worker}', and no log of it is stored (any more).");
        else if (follow == "true") await FollowAsync(context, id, worker, tail, request);
        else
            await context.Response.WriteAsJsonAsync(
                new WorkerLogView(id, worker, await TailAsync(id, worker, tail, request, ct)), ct);
    }

    /// <summary>Returns why a worker has ended, or null: nothing observed its end.</summary>
    private async Task<string?> ReasonAsync(string id, string worker, CancellationToken ct) =>
        await logs.TailAsync(id, worker, 1, ct) is [{ Source: "system" } line] ? line.Text : null;

    /// <summary>Returns the last lines with a request id; an empty id: the last lines.</summary>
    private async Task<IReadOnlyList<WorkerLogLine>> TailAsync(
        string id, string worker, int tail, string request, CancellationToken ct) => request.Length == 0
        ? await logs.TailAsync(id, worker, tail, ct)
        : [
            .. (await logs.TailAsync(id, worker, WorkerLogStore.MaxLines, ct))
                .Where(l => Concerns(l, request)).TakeLast(tail),
        ];

    /// <summary>
    /// Whether a line contains the id. The built-in worker writes it in brackets; other programs write it elsewhere.
    /// </summary>
    private static bool Concerns(WorkerLogLine line, string request) =>
        line.Text.Contains(request, StringComparison.Ordinal);

    private async Task FollowAsync(HttpContext context, string id, string worker, int tail, string request)
    {
        var last = context.Request.Headers["Last-Event-ID"].ToString();
        if (last.Length > 0 && !StreamId.IsId(last))
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
                $"Last-Event-ID is '{last}'; expected the id of an event of this log.");
            return;
        }

        await streams.WriteAsync(context, async ct =>
        {
            var lines = last.Length > 0
                ? await logs.AfterAsync(id, worker, last, ct)
                : await TailAsync(id, worker, tail, request, ct);
            if (last.Length == 0 && lines.Count == 0) last = await NewestAsync(id, worker, ct);
            await WriteUntilEndAsync(context.Response, id, worker, last, lines, request, ct);
        });
    }

    private async Task WriteUntilEndAsync(HttpResponse response, string id, string worker, string last,
        IReadOnlyList<WorkerLogLine> lines, string request, CancellationToken ct)
    {
        var (wrote, endedAt) = (time.GetTimestamp(), (long?)null);
        while (true)
        {
            var shown = 0;
            foreach (var line in lines)
            {
                last = line.Id;
                if (!Concerns(line, request)) continue;
                shown++;
                var json = JsonSerializer.Serialize(line, ManagementJson.Default.WorkerLogLine);
                await response.WriteAsync($"id: {line.Id}\ndata: {json}\n\n", ct);
            }

            if (shown > 0 || time.GetElapsedTime(wrote) >= Heartbeat)
            {
                if (shown == 0) await response.WriteAsync(": \n\n", ct);
                await response.Body.FlushAsync(ct);
                wrote = time.GetTimestamp();
            }

            if (endedAt is { } at && time.GetElapsedTime(at) >= LastLines) break;
            await Task.Delay(Poll, time, ct);
            if (endedAt is null && !await RunsAsync(id, worker, ct)) endedAt = time.GetTimestamp();
            lines = await logs.AfterAsync(id, worker, last, ct);
        }

        await response.WriteAsync("event: end\ndata: {}\n\n", ct);
    }

    private async Task<bool> IsKnownAsync(string id, string worker, CancellationToken ct) =>
        (await pods.ListAsync(id, ct)).Any(p => p.Id == worker) || (await logs.ListAsync(id, ct)).ContainsKey(worker);

    private async Task<bool> RunsAsync(string id, string worker, CancellationToken ct) =>
        (await pods.ListAsync(id, ct)).Any(p => p.Id == worker && p.State != PodState.Failed);

    private async Task<string> NewestAsync(string id, string worker, CancellationToken ct) =>
        await logs.TailAsync(id, worker, 1, ct) is [var newest] ? newest.Id : "";

    /// <summary>The workers with a log.</summary>
    public sealed record WorkerLogList(IReadOnlyList<WorkerLogEntry> Logs);

    /// <summary>
    /// A worker with a log. <paramref name="State"/> is the worker's state, or <c>ended</c>;
    /// <paramref name="Reason"/> says why it has ended, if that is known.
    /// </summary>
    public sealed record WorkerLogEntry(string Worker, string State, DateTimeOffset LastLineAt, string? Reason);

    /// <summary>The last lines of a worker, oldest first.</summary>
    public sealed record WorkerLogView(string Endpoint, string Worker, IReadOnlyList<WorkerLogLine> Lines);
}
