using System.Globalization;
using System.Text.Json;
using System.Threading.Channels;
using Sluice.ControlPlane.UserPods;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Hosting.UserPods;
using Sluice.Storage.UserPods;

namespace Sluice.Gateway.UserPods;

/// <summary>
/// Writes the log of a pod as server-sent events: the output of its program (<c>container</c>), and what its controller
/// did (<c>system</c>). The form is that of RunPod's API v2: the id of an event is its time and a number, and
/// <c>Last-Event-ID</c> continues after it.
/// </summary>
public sealed partial class UserPodLogs(
    IUserPodHost host,
    UserPodController controller,
    UserPodStore store,
    UserPodCatalog pods,
    ManagementEventStreams streams,
    TimeProvider time,
    ILogger<UserPodLogs> logger)
{
    private const int DefaultTail = 100;
    private const int MostTail = 5000;

    private static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan Poll = TimeSpan.FromSeconds(1);

    /// <summary>Writes the log until the client disconnects or the pod is terminated.</summary>
    public async Task WriteAsync(HttpContext context, UserPodEntry entry)
    {
        if (await ReadQueryAsync(context) is not { } query) return;
        if (query.Container && entry.Node is { } node && controller.Node is { } own && node != own)
        {
            await Problem.WriteAsync(context, StatusCodes.Status503ServiceUnavailable,
                $"Pod '{entry.Pod.Id}' runs on node {node}, and this gateway uses node {own}. "
                + "Ask a gateway of its node, or ?source=system.");
            return;
        }

        if (HttpProtocol.IsHttp11(context.Request.Protocol)) context.Response.Headers.Connection = "keep-alive";
        await streams.WriteAsync(context, async ct =>
        {
            var lines = Channel.CreateBounded<UserPodLogEvent>(256);
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(ct);
            var readers = ReadAsync(entry.Pod.Id, query, lines.Writer, stop.Token);
            try
            {
                await WriteEventsAsync(context, lines.Reader, stop.Token);
            }
            finally
            {
                await stop.CancelAsync();
                await readers;
            }
        });
    }

    private async Task WriteEventsAsync(HttpContext context, ChannelReader<UserPodLogEvent> lines, CancellationToken ct)
    {
        var sequence = 0L;
        while (true)
        {
            var waiting = lines.WaitToReadAsync(ct).AsTask();
            if (await Task.WhenAny(waiting, Task.Delay(Heartbeat, time, ct)) != waiting)
            {
                await context.Response.WriteAsync(": \n\n", ct);
                await context.Response.Body.FlushAsync(ct);
                continue;
            }

            if (!await waiting) return;
            while (lines.TryRead(out var line))
            {
                sequence++;
                var json = JsonSerializer.Serialize(line, UserPodApiJson.Default.UserPodLogEvent);
                var id = string.Create(CultureInfo.InvariantCulture, $"{line.Ts}/{sequence:D12}");
                await context.Response.WriteAsync($"id: {id}\ndata: {json}\n\n", ct);
            }

            await context.Response.Body.FlushAsync(ct);
        }
    }

    /// <summary>Reads both sources until the pod is terminated.</summary>
    private async Task ReadAsync(string podId, Query query, ChannelWriter<UserPodLogEvent> lines, CancellationToken ct)
    {
        try
        {
            await Task.WhenAll(
                query.Container ? ReadContainerAsync(podId, query, lines, ct) : Task.CompletedTask,
                query.System ? ReadSystemAsync(podId, query, lines, ct) : Task.CompletedTask);
        }
        finally
        {
            lines.Complete();
        }
    }

    /// <summary>Follows the output of one container after the other: a pod may be stopped and started again.</summary>
    private async Task ReadContainerAsync(
        string podId, Query query, ChannelWriter<UserPodLogEvent> lines, CancellationToken ct)
    {
        var (since, tail) = (query.Since, query.Since is null ? query.Tail : (int?)null);
        if (tail == 0) (since, tail) = (time.GetUtcNow(), null);
        try
        {
            while (!ct.IsCancellationRequested && Exists(podId))
            {
                try
                {
                    var range = new UserPodLogRange(since, tail, Follow: true);
                    await foreach (var line in host.ReadLogAsync(podId, range, ct))
                    {
                        since = line.At;
                        await lines.WriteAsync(new UserPodLogEvent(Text(line.At), "container", line.Text), ct);
                    }
                }
                catch (Exception e) when (e is InvalidOperationException or IOException or HttpRequestException)
                {
                    UserPodLogInterrupted(podId, e.Message);
                }

                tail = null;
                since ??= time.GetUtcNow();
                await Task.Delay(Poll, time, ct);
            }
        }
        catch (OperationCanceledException)
        {
            // The client has disconnected.
        }
    }

    private async Task ReadSystemAsync(
        string podId, Query query, ChannelWriter<UserPodLogEvent> lines, CancellationToken ct)
    {
        var since = query.Since;
        try
        {
            while (true)
            {
                // The last event is stored with the state, so events that are read after it contain it.
                var isLast = !Exists(podId);
                var events = await store.ReadEventsAsync(podId, ct);
                since ??= events.TakeLast(query.Tail).FirstOrDefault()?.At.AddTicks(-1)
                    ?? (events is [.., var latest] ? latest.At : DateTimeOffset.MinValue);
                foreach (var happened in events.Where(e => e.At > since))
                {
                    since = happened.At;
                    await lines.WriteAsync(new UserPodLogEvent(Text(happened.At), "system", happened.Text), ct);
                }

                if (isLast) return;
                await Task.Delay(Poll, time, ct);
            }
        }
        catch (OperationCanceledException)
        {
            // The client has disconnected.
        }
        catch (Exception e) when (Storage.Redis.RedisErrors.Is(e))
        {
            // The container's output continues. A client that reconnects gets the events.
            UserPodLogInterrupted(podId, e.Message);
        }
    }

    /// <summary>Whether more can be written: the record of a terminated pod is kept for a while.</summary>
    private bool Exists(string podId) =>
        pods.Find(podId) is { State.Status: not Domain.UserPods.UserPodStatus.Terminated };

    private static async Task<Query?> ReadQueryAsync(HttpContext context)
    {
        var given = context.Request.Query;
        var source = given["source"].ToString();
        if (source is not ("" or "container" or "system"))
            return await RefuseAsync($"source is '{source}'; expected container or system.");
        var (tail, text) = (DefaultTail, given["tail"].ToString());
        if (text.Length > 0 && (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out tail)
            || tail > MostTail)) return await RefuseAsync($"tail is '{text}'; expected a number from 0 to {MostTail}.");
        var last = context.Request.Headers["Last-Event-ID"].ToString();
        var (name, from) = last.Length > 0
            ? ("Last-Event-ID", last.Split('/')[0]) : ("since", given["since"].ToString());
        if (from.Length == 0) return new Query(source != "system", source != "container", tail, null);
        return DateTimeOffset.TryParse(from, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at)
            ? new Query(source != "system", source != "container", tail, at)
            : await RefuseAsync($"{name} is '{from}'; expected a time like 2026-06-01T12:02:03Z.");

        async Task<Query?> RefuseAsync(string why)
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest, why);
            return null;
        }
    }

    private static string Text(DateTimeOffset at) =>
        at.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffffffZ", CultureInfo.InvariantCulture);

    private sealed record Query(bool Container, bool System, int Tail, DateTimeOffset? Since);

    [LoggerMessage(LogLevel.Debug, "Reading the log of pod {Pod} was interrupted: {Error}")]
    private partial void UserPodLogInterrupted(string pod, string error);
}
