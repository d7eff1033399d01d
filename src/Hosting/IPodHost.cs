using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;

namespace Sluice.Hosting;

/// <summary>
/// Starts and stops pods, as processes of this machine or as containers of a Docker daemon. The <c>PodManager</c>
/// manages the life cycle of the pods. Every implementation passes <c>PodHostConformance</c>.
/// </summary>
public interface IPodHost : IDisposable
{
    /// <summary>Starts a pod. It is not ready yet.</summary>
    /// <param name="order">The pod to start.</param>
    /// <param name="progress">Receives the steps that take long ("pulling image ...").</param>
    /// <param name="ct">Cancels the start; what was created for it is removed.</param>
    /// <exception cref="InvalidOperationException">
    /// The pod cannot be started; the message contains the reason and a solution.
    /// </exception>
    Task<RunningPod> StartAsync(PodSpec order, Action<StartProgress> progress, CancellationToken ct);

    /// <summary>
    /// Sends SIGTERM, and after the template's grace period SIGKILL. Completes when the pod has exited.
    /// </summary>
    Task StopAsync(RunningPod pod);

    /// <summary>Sends SIGKILL to a pod and to all processes that it started. Does not wait for the exit.</summary>
    Task KillAsync(RunningPod pod);

    /// <summary>
    /// Removes the resources of an exited pod: its port, its container. If the pod's exit is <see
    /// cref="RunningPod.Unsure"/>, the method also ends what still runs.
    /// </summary>
    /// <param name="pod">The pod.</param>
    /// <param name="ct">Cancels the attempts on a host that does not respond.</param>
    Task ForgetAsync(RunningPod pod, CancellationToken ct = default);

    /// <summary>
    /// Whether a pod of another gateway runs here. Throws if that is not known now. Processes are identified by their
    /// marks instead, not by this method.
    /// </summary>
    Task<bool> IsRunningAsync(string podId, CancellationToken ct) => Task.FromResult(false);

    /// <summary>
    /// Finds the running pods of this host that no gateway process manages: those of an earlier gateway process, and
    /// those whose start succeeded although it was reported as failed. Resources of exited pods are removed.
    /// </summary>
    /// <param name="isManaged">
    /// Whether a gateway manages a pod. It is called for each pod that was found, because starts continue at the same
    /// time and are registered before they begin.
    /// </param>
    /// <param name="ct">Cancels the search.</param>
    /// <exception cref="InvalidOperationException">The host does not respond now.</exception>
    Task<IReadOnlyList<RunningPod>> AdoptAsync(Func<FoundPod, bool> isManaged, CancellationToken ct);

    /// <summary>
    /// Passes the current declarations to the host, repeatedly, so that it can prepare starts in advance. The list is
    /// the same object until a declaration changes.
    /// </summary>
    void Prepare(IReadOnlyList<Deployment> declared)
    {
        // By default a host prepares nothing.
    }

    /// <summary>
    /// The GPUs of the nodes that the host can start pods on. Null: the pods run on this machine, whose GPUs the
    /// gateway reads itself.
    /// </summary>
    IGpuSource? Gpus => null;

    /// <summary>
    /// Whether pods keep running when the gateway stops, so that the next gateway process adopts them.
    /// </summary>
    bool KeepsPods { get; }

    /// <summary>
    /// Whether several gateways use the same host, so that each of them finds the pods that another one started. The
    /// leader then adopts the pods of a lost gateway.
    /// </summary>
    bool IsShared => false;
}
