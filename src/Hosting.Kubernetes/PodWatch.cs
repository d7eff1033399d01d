using System.Collections.Concurrent;
using System.Net;
using k8s;
using k8s.Autorest;
using k8s.Models;
using Microsoft.Extensions.Logging;

namespace Sluice.Hosting.Kubernetes;

/// <summary>
/// Keeps the pods of an installation up to date: a list, and then a watch from the version of the list. A watch that
/// ends is continued from its last version; after 410, an error or silence the pods are listed again. Its loop is the
/// only writer, except for pods that this gateway has just created.
/// </summary>
internal sealed partial class PodWatch : IDisposable
{
    /// <summary>Duration of a watch call. A shorter one notices a broken connection earlier.</summary>
    private const int WatchSeconds = 120;

    /// <summary>How long the end of a watch call may be late before its connection is considered dead.</summary>
    private static readonly TimeSpan SilenceTolerance = TimeSpan.FromSeconds(15);

    /// <summary>A list repairs what a watch missed, whatever the reason.</summary>
    private static readonly TimeSpan ListEvery = TimeSpan.FromMinutes(5);

    private static readonly TimeSpan FirstRetryPause = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestRetryPause = TimeSpan.FromSeconds(5);

    /// <summary>Number of pods per page of a list.</summary>
    private const int PageSize = 500;

    private readonly IKubernetes client;
    private readonly string ns;
    private readonly string selector;
    private readonly TimeProvider time;
    private readonly ILogger logger;
    private readonly ConcurrentDictionary<string, WatchedPod> pods = [];
    private readonly CancellationTokenSource ending = new();
    private readonly TaskCompletionSource synced = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Creates the watch. <see cref="Start"/> begins it.</summary>
    public PodWatch(IKubernetes client, string ns, string selector, TimeProvider time, ILogger logger)
    {
        (this.client, this.ns, this.selector, this.time, this.logger) = (client, ns, selector, time, logger);
    }

    /// <summary>Completes when the pods were listed once.</summary>
    public Task Synced => synced.Task;

    /// <summary>Why Kubernetes does not respond now; null: it does.</summary>
    public string? Error { get; private set; }

    /// <summary>The pods that exist.</summary>
    public IEnumerable<V1Pod> Pods => pods.Values.Select(p => p.Current)
        .Where(p => p is { Deleted: false, Latest: not null }).Select(p => p.Latest!);

    /// <summary>Begins to list and watch.</summary>
    public void Start() => _ = Task.Run(() => RunAsync(ending.Token), CancellationToken.None);

    /// <summary>Returns the pod with a name, which need not exist yet.</summary>
    public WatchedPod Follow(string name) => pods.GetOrAdd(name, _ => new WatchedPod());

    /// <summary>Stores a pod that was just created or read, unless the watch already has it.</summary>
    public WatchedPod Offer(V1Pod pod)
    {
        var watched = Follow(pod.Metadata.Name);
        watched.Set(pod, time.GetTimestamp(), onlyFirst: true);
        return watched;
    }

    /// <summary>Notes that Kubernetes does not know a pod.</summary>
    public void MarkDeleted(string name)
    {
        if (pods.TryRemove(name, out var watched)) watched.Delete(null);
    }

    public void Dispose()
    {
        ending.Cancel();
        ending.Dispose();
    }

    private async Task RunAsync(CancellationToken ct)
    {
        var pause = FirstRetryPause;
        while (!ct.IsCancellationRequested)
        {
            try
            {
                var version = await ListAsync(ct);
                if (Error is not null) PodWatchRestored();
                Error = null;
                synced.TrySetResult();
                pause = FirstRetryPause;
                await WatchAsync(version, time.GetTimestamp(), ct);
            }
            catch (Exception e) when (!ct.IsCancellationRequested)
            {
                var error = KubernetesErrors.Describe(e);
                if (error != Error) PodWatchInterrupted(error);
                Error = error;
                await Task.WhenAny(Task.Delay(pause, time, ct));
                pause = pause * 2 > LongestRetryPause ? LongestRetryPause : pause * 2;
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    /// <summary>Lists the pods, and returns the version of the list.</summary>
    private async Task<string> ListAsync(CancellationToken ct)
    {
        var started = time.GetTimestamp();
        var found = new HashSet<string>();
        string? next = null, version;
        do
        {
            var page = await client.CoreV1.ListNamespacedPodAsync(ns, labelSelector: selector, limit: PageSize,
                continueParameter: next, cancellationToken: ct);
            foreach (var pod in page.Items)
            {
                found.Add(pod.Metadata.Name);
                Follow(pod.Metadata.Name).Set(pod, started);
            }

            (next, version) = (page.Metadata.ContinueProperty, page.Metadata.ResourceVersion);
        }
        while (next is { Length: > 0 });

        foreach (var (name, watched) in pods)
            if (!found.Contains(name) && watched.WasKnownBefore(started)) Remove(name, null);
        return version;
    }

    /// <summary>Watches from a version until the next list is due. Returns after 410 too.</summary>
    private async Task WatchAsync(string version, long listed, CancellationToken ct)
    {
        while (time.GetElapsedTime(listed) < ListEvery)
        {
            using var silence = new CancellationTokenSource(
                TimeSpan.FromSeconds(WatchSeconds) + SilenceTolerance, time);
            using var call = CancellationTokenSource.CreateLinkedTokenSource(ct, silence.Token);
            Exception? error = null;
            try
            {
                var events = client.CoreV1.WatchListNamespacedPodAsync(ns, allowWatchBookmarks: true,
                    labelSelector: selector, resourceVersion: version, timeoutSeconds: WatchSeconds,
                    onError: e => error ??= e, cancellationToken: call.Token);
                await foreach (var (type, pod) in events.WithCancellation(call.Token))
                {
                    if (pod.Metadata?.ResourceVersion is { Length: > 0 } newer) version = newer;
                    Apply(type, pod);
                }
            }
            catch (HttpOperationException e) when (e.Response?.StatusCode == HttpStatusCode.Gone)
            {
                return;
            }
            catch (EndOfStreamException)
            {
                // The server's timeout passed without an event.
            }

            // The client passes the error event of the server (410 in a stream), and events that it cannot read.
            if (error is not null) return;
        }
    }

    private void Apply(WatchEventType type, V1Pod pod)
    {
        if (type is WatchEventType.Added or WatchEventType.Modified)
            Follow(pod.Metadata!.Name).Set(pod, time.GetTimestamp());
        else if (type == WatchEventType.Deleted) Remove(pod.Metadata!.Name, pod);
    }

    private void Remove(string name, V1Pod? last)
    {
        if (pods.TryRemove(name, out var watched)) watched.Delete(last);
    }

    [LoggerMessage(LogLevel.Warning,
        "The pods of Kubernetes cannot be watched; running pods are not affected: {Error}")]
    private partial void PodWatchInterrupted(string error);

    [LoggerMessage(LogLevel.Information, "The pods of Kubernetes are watched again")]
    private partial void PodWatchRestored();
}
