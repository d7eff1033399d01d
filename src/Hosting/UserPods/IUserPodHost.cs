using Sluice.Domain.UserPods;

namespace Sluice.Hosting.UserPods;

/// <summary>
/// Runs the pods of users on one node: containers of a Docker daemon, or processes of this machine. It does what it is
/// asked; the controller of the node decides. Every call can be repeated: a call whose result was lost is repeated by
/// this gateway or by the next controller. Every implementation passes <c>UserPodHostConformance</c>.
/// </summary>
public interface IUserPodHost : IDisposable
{
    /// <summary>
    /// Returns the id of the node, which is the same for all gateways that use it, and over restarts.
    /// </summary>
    /// <exception cref="InvalidOperationException">The host does not respond now.</exception>
    Task<string> FindNodeAsync(CancellationToken ct);

    /// <summary>Returns the containers of all pods of an installation, stopped ones included.</summary>
    /// <param name="installation">Identifies the pods' Redis.</param>
    /// <param name="ct">Cancels the call.</param>
    /// <exception cref="InvalidOperationException">The host does not respond now.</exception>
    Task<IReadOnlyList<UserPodInstance>> ListAsync(string installation, CancellationToken ct);

    /// <summary>Creates the pod's container, unless it exists, and starts it.</summary>
    /// <param name="start">The pod.</param>
    /// <param name="progress">Receives a description of steps that take long ("pulling image ...").</param>
    /// <param name="ct">Cancels the start.</param>
    /// <exception cref="UserPodStartException">The host refused the start.</exception>
    /// <exception cref="InvalidOperationException">The host does not respond now.</exception>
    Task StartAsync(UserPodStart start, Action<string> progress, CancellationToken ct);

    /// <summary>Stops the container of a pod, and starts it again with the same files.</summary>
    Task RestartAsync(UserPod pod, CancellationToken ct);

    /// <summary>Sends SIGTERM, and SIGKILL after <c>stopGrace</c>. Completes when the program has exited.</summary>
    Task StopAsync(UserPod pod, CancellationToken ct);

    /// <summary>Deletes the container of a pod, which is killed if it runs. Its volume is kept.</summary>
    Task RemoveAsync(string podId, CancellationToken ct);

    /// <summary>Whether the volume of a pod exists.</summary>
    Task<bool> HasVolumeAsync(string podId, CancellationToken ct);

    /// <summary>Deletes the volume of a pod that has no container.</summary>
    Task RemoveVolumeAsync(string podId, CancellationToken ct);

    /// <summary>
    /// Measures what running pods use, by pod. A pod that does not run, or for which the host has no source, has no
    /// reading: a host never estimates.
    /// </summary>
    /// <exception cref="InvalidOperationException">The host does not respond now.</exception>
    Task<IReadOnlyDictionary<string, UserPodReading>> MeasureAsync(
        IReadOnlyCollection<UserPod> measured, CancellationToken ct);

    /// <summary>Returns the output of a pod's program, the oldest line first.</summary>
    /// <param name="podId">The pod.</param>
    /// <param name="range">Which lines.</param>
    /// <param name="ct">Ends the enumeration.</param>
    /// <exception cref="InvalidOperationException">The host does not respond now.</exception>
    IAsyncEnumerable<UserPodLogLine> ReadLogAsync(string podId, UserPodLogRange range, CancellationToken ct);
}
