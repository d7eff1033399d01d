using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Sluice.Domain.UserPods;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Observability;
using Sluice.Shared;
using Sluice.Storage.Background;
using Sluice.Storage.UserPods;

namespace Sluice.Gateway.UserPods;

/// <summary>
/// The requests that this gateway forwards to pods now. It ends those whose key, cookie, port or pod is not valid any
/// more (a WebSocket may stay open for days), and records the activity of pods.
/// </summary>
public sealed partial class UserPodConnections(
    UserPodCatalog catalog,
    UserPodStore store,
    ApiKeyCache keys,
    TimeProvider time,
    ILogger<UserPodConnections> logger) : BackgroundLoop(time, logger)
{
    private static readonly Meter Meter = new(GatewayMetrics.MeterName);

    private static readonly TimeSpan Every = TimeSpan.FromMilliseconds(500);

    private readonly ConcurrentDictionary<UserPodConnection, bool> open = new();
    private readonly ConcurrentDictionary<string, DateTimeOffset> active = new();
    private readonly TimeProvider time = time;
    private readonly ILogger<UserPodConnections> logger = logger;

    /// <summary>Number of open connections.</summary>
    public int Count => open.Count;

    /// <summary>Registers a request. The caller disposes the result when it has ended.</summary>
    public UserPodConnection Open(string podId, int port, string keyId, DateTimeOffset expiresAt, CancellationToken ct)
    {
        RecordActivity(podId);
        var connection = new UserPodConnection(podId, port, keyId, expiresAt, c => open.TryRemove(c, out _), ct);
        open[connection] = true;
        return connection;
    }

    /// <summary>Records that a client uses a pod now.</summary>
    public void RecordActivity(string podId) => active[podId] = time.GetUtcNow();

    /// <summary>Returns whether the key of a connection may use the pod.</summary>
    public bool IsAllowed(string keyId, UserPod pod) =>
        keys.FindById(keyId, time.GetUtcNow(), out var caller) == KeyVerdict.Valid
        && caller!.Scope.MayOpenPod(pod.Id, pod.Owner == keyId);

    protected override async Task RunAsync(CancellationToken ct)
    {
        Meter.CreateObservableGauge(MetricNames.UserPodConnections, () => open.Count, "{connection}",
            "Requests and WebSockets that this gateway forwards to pods now.");
        using var timer = SharedTicks.Every(Every, time);
        while (await timer.WaitForNextTickAsync(ct))
        {
            foreach (var connection in open.Keys) Check(connection);
            await Failures.WatchAsync("Recording the activity of pods", FlushAsync(ct));
        }
    }

    private void Check(UserPodConnection connection)
    {
        var pod = catalog.Find(connection.PodId)?.Pod;
        var reason = pod is not { Goal: UserPodGoal.Running } ? "the pod stops"
            : !pod.Spec.OpensHttp(connection.Port) ? "the port was closed"
            : connection.ExpiresAt <= time.GetUtcNow() ? "its cookie has expired"
            : !IsAllowed(connection.KeyId, pod) ? "its key is not valid any more"
            : null;
        if (reason is not null)
        {
            UserPodConnectionCut(connection.PodId, connection.Port, connection.KeyId, reason);
            connection.Cut();
        }
        else if (!connection.IsUpgraded)
        {
            RecordActivity(connection.PodId);
        }
    }

    private async Task FlushAsync(CancellationToken ct)
    {
        var taken = new List<(string, DateTimeOffset)>();
        foreach (var pod in active.Keys)
            if (active.TryRemove(pod, out var at) && Measures(pod)) taken.Add((pod, at));
        if (taken.Count > 0) await store.RecordActivityAsync(taken, ct);
    }

    /// <summary>
    /// Whether requests count as activity of a pod. Of Jupyter and code-server they do not: an open tab polls.
    /// </summary>
    private bool Measures(string podId) => catalog.Find(podId)?.Pod.Spec is { } spec
        && spec.IdleTimeout > TimeSpan.Zero && spec.Application == Domain.Declarations.PodApplication.Other;

    [LoggerMessage(LogLevel.Information, "A connection to port {Port} of pod {Pod} with key {Key} was cut: {Reason}")]
    private partial void UserPodConnectionCut(string pod, int port, string key, string reason);
}
