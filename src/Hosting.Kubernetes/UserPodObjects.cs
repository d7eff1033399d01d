using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using k8s;
using k8s.Autorest;
using k8s.Models;
using Sluice.Domain.UserPods;
using Sluice.Hosting.UserPods;

namespace Sluice.Hosting.Kubernetes;

/// <summary>
/// Creates, reads and deletes the objects of users' pods. Each call can be repeated. While the API server does not
/// answer, calls throw <see cref="InvalidOperationException"/>, and the controller repeats its step.
/// </summary>
internal sealed class UserPodObjects(
    KubernetesConnection connection, KubernetesSettings settings, PodWatch watch, TimeProvider time)
{
    /// <summary>A look at the Pod without an event, because a watch can be interrupted.</summary>
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);

    /// <summary>The declarations of Pods by their UID. Each is in a Secret, which is read once.</summary>
    private readonly ConcurrentDictionary<string, UserPod> declared = [];

    private ICoreV1Operations Api => connection.Client.CoreV1;

    /// <summary>Returns a name for the Secret of a new Pod.</summary>
    public static string NewSecretName(string podId) =>
        $"{PodNames.OfUserPod(podId)}-{RandomNumberGenerator.GetHexString(8, lowercase: true)}";

    /// <summary>Waits until the Pods are known.</summary>
    public async Task SyncAsync(CancellationToken ct)
    {
        await watch.Synced.WaitAsync(ct);
        if (watch.Error is { } error) throw new KubernetesUnavailableException(error);
    }

    /// <summary>Returns the Pod of a user's pod; null: there is none.</summary>
    public V1Pod? Find(string podId) =>
        watch.Pods.FirstOrDefault(p => p.Metadata.Name == PodNames.OfUserPod(podId));

    /// <summary>Creates the Pod and its Secret, unless they exist. A Pod that has ended is deleted first.</summary>
    public async Task<V1Pod> EnsureAsync(V1Pod body, IDictionary<string, string> environment, CancellationToken ct)
    {
        var podId = UserPodReader.LabelsOf(body)[UserPodLabels.Id];
        if (Find(podId) is { } before
            && (before.Metadata.DeletionTimestamp is not null || PodReader.Read(before).Progress == PodProgress.Ended))
            await RemoveAsync(podId, ct);
        var pod = await CallAsync(() => CreateAsync(body, podId, ct), ct);
        watch.Offer(pod);
        await CallAsync(() => CreateSecretAsync(pod, environment, ct), ct);
        return pod;
    }

    /// <summary>Returns the environment of a Pod.</summary>
    public async Task<IDictionary<string, string>> ReadEnvironmentAsync(V1Pod pod, CancellationToken ct)
    {
        var secret = await CallAsync(() => Api.ReadNamespacedSecretAsync(
            SecretOf(pod), connection.Namespace, cancellationToken: ct), ct);
        return secret.Data.ToDictionary(d => d.Key, d => Encoding.UTF8.GetString(d.Value));
    }

    /// <summary>Returns the pod that a Pod was created for; null: its Secret does not exist (yet).</summary>
    public async Task<UserPod?> ReadDeclaredAsync(
        V1Pod pod, IReadOnlyDictionary<string, string> labels, CancellationToken ct)
    {
        if (declared.TryGetValue(pod.Metadata.Uid, out var known)) return known;
        try
        {
            var environment = await ReadEnvironmentAsync(pod, ct);
            var read = UserPodLabels.Read(labels, [.. environment.Select(e => $"{e.Key}={e.Value}")]);
            if (read is not null) declared[pod.Metadata.Uid] = read;
            return read;
        }
        catch (Exception e) when (KubernetesErrors.Is(e, HttpStatusCode.NotFound))
        {
            return null;
        }
    }

    /// <summary>Forgets the declarations of other Pods.</summary>
    public void Retain(IReadOnlyList<V1Pod> pods)
    {
        foreach (var gone in declared.Keys.Except(pods.Select(p => p.Metadata.Uid)).ToList())
            declared.TryRemove(gone, out _);
    }

    /// <summary>
    /// Lets the kubelet end the program of a Pod, and waits for its exit. The kubelet sends SIGTERM when the deadline,
    /// measured from the Pod's start, has passed, and SIGKILL after its grace period (kubernetes.io, "Pod Lifecycle").
    /// </summary>
    /// <returns>Whether the Pod still exists.</returns>
    public async Task<bool> EndAsync(V1Pod pod, CancellationToken ct)
    {
        var name = pod.Metadata.Name;
        try
        {
            var deadline = new V1Patch("""{"spec":{"activeDeadlineSeconds":1}}""", V1Patch.PatchType.MergePatch);
            await CallAsync(
                () => Api.PatchNamespacedPodAsync(deadline, name, connection.Namespace, cancellationToken: ct), ct);
        }
        catch (Exception e) when (KubernetesErrors.Is(e, HttpStatusCode.NotFound))
        {
            watch.MarkDeleted(name);
            return false;
        }

        await UntilAsync(name, p => p is null || p.Metadata.Uid != pod.Metadata.Uid
            || PodReader.Read(p).Progress == PodProgress.Ended, ct);
        return true;
    }

    /// <summary>Deletes the Pod of a user's pod, and waits until it is gone. Returns whether there was one.</summary>
    public async Task<bool> RemoveAsync(string podId, CancellationToken ct)
    {
        var name = PodNames.OfUserPod(podId);
        try
        {
            // A grace period of 0 would delete the object although the program may still run.
            await CallAsync(() => Api.DeleteNamespacedPodAsync(
                name, connection.Namespace, new V1DeleteOptions { GracePeriodSeconds = 1 }, cancellationToken: ct), ct);
        }
        catch (Exception e) when (KubernetesErrors.Is(e, HttpStatusCode.NotFound))
        {
            watch.MarkDeleted(name);
            return false;
        }

        await UntilAsync(name, p => p is null, ct);
        return true;
    }

    /// <summary>Creates the claim of a pod's volume, unless it exists.</summary>
    public async Task EnsureClaimAsync(UserPod pod, CancellationToken ct)
    {
        try
        {
            await CallAsync(() => Api.CreateNamespacedPersistentVolumeClaimAsync(
                UserPodManifest.BuildClaim(pod, settings), connection.Namespace, cancellationToken: ct), ct);
        }
        catch (Exception e) when (KubernetesErrors.Is(e, HttpStatusCode.Conflict))
        {
            // It exists.
        }
    }

    /// <summary>Whether a pod has a claim that is not being deleted.</summary>
    public async Task<bool> HasClaimAsync(string podId, CancellationToken ct)
    {
        try
        {
            var claim = await CallAsync(() => Api.ReadNamespacedPersistentVolumeClaimAsync(
                PodNames.OfUserPod(podId), connection.Namespace, cancellationToken: ct), ct);
            return claim.Metadata.DeletionTimestamp is null;
        }
        catch (Exception e) when (KubernetesErrors.Is(e, HttpStatusCode.NotFound))
        {
            return false;
        }
    }

    /// <summary>Deletes the claim of a pod, if it has one.</summary>
    public async Task RemoveClaimAsync(string podId, CancellationToken ct)
    {
        try
        {
            await CallAsync(() => Api.DeleteNamespacedPersistentVolumeClaimAsync(
                PodNames.OfUserPod(podId), connection.Namespace, cancellationToken: ct), ct);
        }
        catch (Exception e) when (KubernetesErrors.Is(e, HttpStatusCode.NotFound))
        {
            // It has none.
        }
    }

    /// <summary>Opens the log of a pod, with the time of each line; null: it has none.</summary>
    public async Task<Stream?> OpenLogAsync(string podId, UserPodLogRange range, CancellationToken ct)
    {
        try
        {
            // Whole seconds: the caller skips what is left of the first one.
            var since = range.Since is { } from
                ? Math.Max(1, (int)Math.Ceiling((time.GetUtcNow() - from).TotalSeconds) + 1) : (int?)null;
            return await CallAsync(() => Api.ReadNamespacedPodLogAsync(
                PodNames.OfUserPod(podId), connection.Namespace, PodNames.Container, follow: range.Follow,
                sinceSeconds: since, tailLines: range.Tail, timestamps: true, cancellationToken: ct), ct);
        }
        catch (Exception e) when (KubernetesErrors.Is(e, HttpStatusCode.NotFound)
            || KubernetesErrors.Is(e, HttpStatusCode.BadRequest))
        {
            // The Pod does not exist, or its program has not begun.
            return null;
        }
    }

    private static string SecretOf(V1Pod pod) => pod.Spec.Containers[0].EnvFrom[0].SecretRef.Name;

    /// <summary>Calls the API server. Only answers that a caller expects are passed on as they are.</summary>
    /// <exception cref="KubernetesUnavailableException">It does not answer.</exception>
    /// <exception cref="InvalidOperationException">It refused the call, for example 403.</exception>
    public static async Task<T> CallAsync<T>(Func<Task<T>> call, CancellationToken ct)
    {
        try
        {
            return await call();
        }
        catch (Exception e) when (!ct.IsCancellationRequested && KubernetesErrors.IsDown(e))
        {
            throw new KubernetesUnavailableException(KubernetesErrors.Describe(e), e);
        }
        catch (HttpOperationException e) when (e.Response.StatusCode is not HttpStatusCode.NotFound
            and not HttpStatusCode.Conflict and not HttpStatusCode.BadRequest)
        {
            throw new InvalidOperationException(
                $"Kubernetes refused a call: {KubernetesErrors.Describe(e)}", e);
        }
    }

    /// <summary>Creates a Pod. The one of an earlier call, whose answer was lost, is used.</summary>
    private async Task<V1Pod> CreateAsync(V1Pod body, string podId, CancellationToken ct)
    {
        try
        {
            return await Api.CreateNamespacedPodAsync(body, connection.Namespace, cancellationToken: ct);
        }
        catch (Exception e) when (KubernetesErrors.Is(e, HttpStatusCode.Conflict))
        {
            var existing = await Api.ReadNamespacedPodAsync(
                body.Metadata.Name, connection.Namespace, cancellationToken: ct);
            var isOwn = UserPodReader.LabelsOf(existing).TryGetValue(UserPodLabels.Id, out var id) && id == podId;
            if (isOwn && existing.Metadata.DeletionTimestamp is null) return existing;
            throw;
        }
    }

    private async Task<bool> CreateSecretAsync(V1Pod pod, IDictionary<string, string> environment, CancellationToken ct)
    {
        try
        {
            await Api.CreateNamespacedSecretAsync(
                UserPodManifest.BuildSecret(SecretOf(pod), environment, settings, pod), connection.Namespace,
                cancellationToken: ct);
            return true;
        }
        catch (Exception e) when (KubernetesErrors.Is(e, HttpStatusCode.Conflict))
        {
            return false;
        }
    }

    private async Task UntilAsync(string name, Func<V1Pod?, bool> holds, CancellationToken ct)
    {
        while (true)
        {
            var known = watch.Pods.FirstOrDefault(p => p.Metadata.Name == name);
            if (holds(known)) return;
            var (latest, deleted, changed) = watch.Follow(name).Current;
            if (!deleted && ReferenceEquals(latest, known))
                await Task.WhenAny(changed, Task.Delay(LookEvery, time, ct));
            ct.ThrowIfCancellationRequested();
        }
    }
}
