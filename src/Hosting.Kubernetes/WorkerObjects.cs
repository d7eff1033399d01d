using System.Net;
using System.Text;
using k8s;
using k8s.Models;
using Microsoft.Extensions.Logging;

namespace Sluice.Hosting.Kubernetes;

/// <summary>
/// Creates, reads and deletes the objects of workers. Each call can be repeated, because an answer of the API server
/// may be lost.
/// </summary>
internal sealed partial class WorkerObjects(
    KubernetesConnection connection, string ownerName, PodWatch watch, TimeProvider time, ILogger logger)
{
    /// <summary>How long a call waits for the API server.</summary>
    public static readonly TimeSpan ServerBackWithin = TimeSpan.FromSeconds(60);

    private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(0.5);

    private readonly ILogger logger = logger;

    /// <summary>
    /// Creates the Pod. If one of this order exists already, because a response was lost, it is used.
    /// </summary>
    public Task<V1Pod> CreateAsync(PodSpec order, V1Pod body, CancellationToken ct) =>
        RetryWhileDownAsync(() => CreateOnceAsync(order, body, ct), ct);

    /// <summary>Creates the Secret, and returns the token that it contains.</summary>
    public Task<string> CreateSecretAsync(V1Secret secret, string token, CancellationToken ct) =>
        RetryWhileDownAsync(() => CreateSecretOnceAsync(secret, token, ct), ct);

    private async Task<V1Pod> CreateOnceAsync(PodSpec order, V1Pod body, CancellationToken ct)
    {
        try
        {
            return await connection.Client.CoreV1.CreateNamespacedPodAsync(
                body, connection.Namespace, cancellationToken: ct);
        }
        catch (Exception e) when (KubernetesErrors.Is(e, HttpStatusCode.Conflict))
        {
            var existing = await connection.Client.CoreV1.ReadNamespacedPodAsync(
                body.Metadata.Name, connection.Namespace, cancellationToken: ct);
            if (PodAnnotations.Read(existing.Metadata.Annotations)?.PodId == order.PodId) return existing;
            throw;
        }
    }

    private async Task<string> CreateSecretOnceAsync(V1Secret secret, string token, CancellationToken ct)
    {
        try
        {
            await connection.Client.CoreV1.CreateNamespacedSecretAsync(
                secret, connection.Namespace, cancellationToken: ct);
            return token;
        }
        catch (Exception e) when (KubernetesErrors.Is(e, HttpStatusCode.Conflict))
        {
            var existing = await connection.Client.CoreV1.ReadNamespacedSecretAsync(
                secret.Metadata.Name, connection.Namespace, cancellationToken: ct);
            return TokenOf(existing) ?? throw new InvalidOperationException(
                $"Secret {secret.Metadata.Name} exists and is not the worker's", e);
        }
    }

    /// <summary>Reads the token of a pod. Null: it has no Secret.</summary>
    public async Task<string?> ReadTokenAsync(string podId, CancellationToken ct)
    {
        try
        {
            return TokenOf(await connection.Client.CoreV1.ReadNamespacedSecretAsync(
                PodNames.Of(podId), connection.Namespace, cancellationToken: ct));
        }
        catch (Exception e) when (KubernetesErrors.Is(e, HttpStatusCode.NotFound))
        {
            return null;
        }
    }

    private static string? TokenOf(V1Secret secret) =>
        secret.Data?.TryGetValue("SLUICE_POD_TOKEN", out var token) == true ? Encoding.UTF8.GetString(token) : null;

    /// <inheritdoc cref="KubernetesConnection.FindOwnerAsync"/>
    public Task<V1OwnerReference> FindOwnerAsync(CancellationToken ct) =>
        RetryWhileDownAsync(() => connection.FindOwnerAsync(ownerName, ct), ct);

    /// <summary>Retries a call while the API server is unavailable. Every call made through it is idempotent.</summary>
    private async Task<T> RetryWhileDownAsync<T>(Func<Task<T>> call, CancellationToken ct)
    {
        var patience = Task.Delay(ServerBackWithin, time, ct);
        while (true)
        {
            try
            {
                return await call();
            }
            catch (Exception e)
                when (!ct.IsCancellationRequested && KubernetesErrors.IsDown(e) && !patience.IsCompleted)
            {
                await Task.Delay(RetryPause, time, ct);
            }
        }
    }

    /// <summary>Deletes a pod; its Secret is deleted with it. Returns whether the server accepted it.</summary>
    /// <param name="podId">The pod.</param>
    /// <param name="uid">Its UID; null: any pod with its name.</param>
    /// <param name="graceSeconds">Time between SIGTERM and SIGKILL.</param>
    /// <param name="log">Whether a failure is logged.</param>
    public async Task<bool> TryDeleteAsync(string podId, string? uid, long graceSeconds, bool log = true)
    {
        var name = PodNames.Of(podId);
        try
        {
            var options = new V1DeleteOptions
            {
                GracePeriodSeconds = graceSeconds,
                Preconditions = uid is null ? null : new V1Preconditions { Uid = uid },
            };
            await connection.Client.CoreV1.DeleteNamespacedPodAsync(name, connection.Namespace, options);
            return true;
        }
        catch (Exception e) when (KubernetesErrors.Is(e, HttpStatusCode.NotFound)
            || (uid is not null && KubernetesErrors.Is(e, HttpStatusCode.Conflict)))
        {
            // It is gone, or another pod has its name.
            if (KubernetesErrors.Is(e, HttpStatusCode.NotFound)) watch.MarkDeleted(name);
            return true;
        }
        catch (Exception e)
        {
            if (log) PodDeletionFailed(name, KubernetesErrors.Describe(e));
            return false;
        }
    }

    [LoggerMessage(LogLevel.Warning,
        "Pod {Pod} could not be deleted; the next search of this host retries it: {Error}")]
    private partial void PodDeletionFailed(string pod, string error);
}
