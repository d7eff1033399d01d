using System.Globalization;
using System.Net;
using System.Runtime.CompilerServices;
using k8s;
using k8s.Models;
using Microsoft.Extensions.Logging;
using Sluice.Domain.Fleet;
using Sluice.Domain.UserPods;
using Sluice.Hosting.UserPods;
using Sluice.Shared;

namespace Sluice.Hosting.Kubernetes;

/// <summary>
/// Runs the pods of users as bare Pods of a Kubernetes cluster, which is one node for all gateways of an installation.
/// The volume of a pod is a claim of its own. Names are fixed, and annotations hold the declaration, so that every call
/// can be repeated and the next gateway continues.
/// </summary>
/// <remarks>
/// A Pod does not start again. A stop sets <c>activeDeadlineSeconds</c>, so that the kubelet ends the program and keeps
/// the Pod with its exit code and its log; the next start deletes it and creates another one.
/// </remarks>
public sealed partial class KubernetesUserPodHost : IUserPodHost
{
    private readonly KubernetesSettings settings;
    private readonly HostId host;
    private readonly TimeProvider time;
    private readonly ILogger<KubernetesUserPodHost> logger;
    private readonly KubernetesConnection connection;
    private readonly PodWatch watch;
    private readonly UserPodObjects objects;
    private readonly NodeGpus? nodes;

    public KubernetesUserPodHost(
        KubernetesSettings settings, HostId host, TimeProvider time, ILogger<KubernetesUserPodHost> logger)
    {
        (this.settings, this.host, this.time, this.logger) = (settings, host, time, logger);
        connection = KubernetesConnection.Create(settings);
        watch = new PodWatch(
            connection.Client, connection.Namespace, $"{PodNames.UserPodsLabel}={settings.Owner}", time, logger);
        objects = new UserPodObjects(connection, settings, watch, time);
        nodes = settings.ReadNodes ? new NodeGpus(connection.Client) : null;
        watch.Start();
    }

    public Task<string> FindNodeAsync(CancellationToken ct) =>
        Task.FromResult($"kubernetes-{connection.Namespace}-{settings.Owner}");

    public async Task<IReadOnlyList<UserPodInstance>> ListAsync(string installation, CancellationToken ct)
    {
        await objects.SyncAsync(ct);
        var pods = watch.Pods.ToList();
        objects.Retain(pods);
        var instances = new List<UserPodInstance>();
        foreach (var pod in pods)
        {
            var labels = UserPodReader.LabelsOf(pod);
            if (!labels.ContainsKey(UserPodLabels.Id)) continue;
            if (!UserPodLabels.IsOwn(labels, installation, host.Value)) continue;
            instances.Add(UserPodReader.Read(pod, labels, await objects.ReadDeclaredAsync(pod, labels, ct),
                time.GetUtcNow()));
        }

        return instances;
    }

    public async Task StartAsync(UserPodStart start, Action<string> progress, CancellationToken ct)
    {
        try
        {
            await objects.SyncAsync(ct);
            var secret = UserPodObjects.NewSecretName(start.Pod.Id);
            var owner = await FindOwnerAsync(ct);
            var body = UserPodManifest.Build(start, settings, host.Value, owner, secret);
            if (start.Pod.Spec.Volume is not null) await objects.EnsureClaimAsync(start.Pod, ct);
            var pod = await objects.EnsureAsync(body, UserPodManifest.Environment(start), ct);
            await WaitUntilRunningAsync(pod, progress, ct);
        }
        catch (Exception e) when (e is not UserPodStartException and not KubernetesUnavailableException
            && !ct.IsCancellationRequested)
        {
            // A Pod whose Secret was refused would wait for it, with its place on a node.
            if (objects.Find(start.Pod.Id) is { } left
                && PodReader.Read(left).Progress is PodProgress.Unscheduled or PodProgress.Preparing)
                await objects.RemoveAsync(start.Pod.Id, ct);
            throw new UserPodStartException(
                $"Kubernetes refused the pod in namespace {connection.Namespace}: {KubernetesErrors.Describe(e)}",
                canRetry: true, e);
        }
    }

    public async Task RestartAsync(UserPod pod, CancellationToken ct)
    {
        await objects.SyncAsync(ct);
        if (objects.Find(pod.Id) is not { } old)
            throw new InvalidOperationException($"Pod {PodNames.OfUserPod(pod.Id)} does not exist (any more)");
        var environment = await objects.ReadEnvironmentAsync(old, ct);
        await StopAsync(pod, ct);
        await objects.RemoveAsync(pod.Id, ct);
        var owner = await FindOwnerAsync(ct);
        var next = UserPodManifest.Again(old, owner, UserPodObjects.NewSecretName(pod.Id));
        await WaitUntilRunningAsync(await objects.EnsureAsync(next, environment, ct), _ => { }, ct);
    }

    public async Task StopAsync(UserPod pod, CancellationToken ct)
    {
        await objects.SyncAsync(ct);
        while (objects.Find(pod.Id) is { } found && PodReader.Read(found).Progress != PodProgress.Ended)
            if (!await objects.EndAsync(found, ct)) return;
    }

    public async Task RemoveAsync(string podId, CancellationToken ct)
    {
        await objects.SyncAsync(ct);
        if (await objects.RemoveAsync(podId, ct)) UserPodRemoved(PodNames.OfUserPod(podId));
    }

    public Task<bool> HasVolumeAsync(string podId, CancellationToken ct) => objects.HasClaimAsync(podId, ct);

    public Task RemoveVolumeAsync(string podId, CancellationToken ct) => objects.RemoveClaimAsync(podId, ct);

    /// <summary>Kubernetes itself does not report what a Pod uses.</summary>
    public Task<IReadOnlyDictionary<string, UserPodReading>> MeasureAsync(
        IReadOnlyCollection<UserPod> measured, CancellationToken ct) =>
        Task.FromResult<IReadOnlyDictionary<string, UserPodReading>>(new Dictionary<string, UserPodReading>());

    public async IAsyncEnumerable<UserPodLogLine> ReadLogAsync(
        string podId, UserPodLogRange range, [EnumeratorCancellation] CancellationToken ct)
    {
        if (await objects.OpenLogAsync(podId, range, ct) is not { } stream) yield break;
        await using var reading = stream;
        await foreach (var line in BoundedLines.ReadAsync(stream, ct))
        {
            var space = line.IndexOf(' ', StringComparison.Ordinal);
            if (space <= 0) continue;
            if (!DateTimeOffset.TryParse(line[..space], CultureInfo.InvariantCulture, out var at)) continue;
            if (range.Since is { } after && at <= after) continue;
            yield return new UserPodLogLine(at, PrintableText.Escape(line[(space + 1)..], BoundedLines.MaxLine));
        }
    }

    public void Dispose()
    {
        watch.Dispose();
        connection.Dispose();
    }

    private Task<V1OwnerReference> FindOwnerAsync(CancellationToken ct) =>
        UserPodObjects.CallAsync(() => connection.FindOwnerAsync(settings.Owner, ct), ct);

    /// <summary>Waits until the program runs or has ended.</summary>
    /// <exception cref="UserPodStartException">It will not run; the Pod is deleted.</exception>
    private async Task WaitUntilRunningAsync(V1Pod pod, Action<string> progress, CancellationToken ct)
    {
        var start = new StartWait(settings.ScheduleTimeout, time.GetTimestamp());
        var (watched, reported) = (watch.Offer(pod), "");
        while (true)
        {
            var (latest, deleted, changed) = watched.Current;
            if (deleted || latest?.Metadata.Uid != pod.Metadata.Uid)
                throw new UserPodStartException("the Pod was deleted while it was starting", canRetry: true);
            var observed = PodReader.Read(latest);
            if (observed.Progress == PodProgress.Ended
                || observed is { Progress: PodProgress.Running, Address: not null }) return;
            var misfit = observed.Progress == PodProgress.Unscheduled && nodes is not null
                ? await nodes.DescribeMisfitAsync(latest, ct) : null;
            var (failure, checkAfter) = start.Decide(observed, misfit, time.GetElapsedTime(start.Begun));
            if (failure is not null)
            {
                await objects.RemoveAsync(UserPodReader.LabelsOf(latest)[UserPodLabels.Id], ct);
                throw new UserPodStartException(failure, canRetry: misfit is null);
            }

            if (observed.Reason != reported && observed.Reason.Length > 0) progress(reported = observed.Reason);
            await Task.WhenAny(changed, Task.Delay(checkAfter, time, ct));
            ct.ThrowIfCancellationRequested();
        }
    }

    [LoggerMessage(LogLevel.Information, "Pod {Pod} of a user removed")]
    private partial void UserPodRemoved(string pod);
}
