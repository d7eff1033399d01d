using Sluice.Core.Endpoints;

namespace Sluice.Core.Workers;

/// <summary>
/// What runs pods: processes of this machine, or containers of a Docker daemon. It starts and ends them and nothing else: what becomes of a
/// pod, and who is told, is the <see cref="PodFleet"/>'s. Every implementation passes <c>PodHostConformance</c>.
/// </summary>
public interface IPodHost : IDisposable
{
    /// <summary>Starts a pod. It is not ready yet.</summary>
    /// <param name="order">What to start.</param>
    /// <param name="progress">Is told in words what takes time ("pulling image ...").</param>
    /// <param name="ct">Gives the start up; what was begun is taken back.</param>
    /// <exception cref="InvalidOperationException">It cannot be started; the message says why and what would help.</exception>
    Task<RunningPod> StartAsync(PodOrder order, Action<string> progress, CancellationToken ct);

    /// <summary>SIGTERM, the template's grace, SIGKILL; ends when the pod has.</summary>
    Task StopAsync(RunningPod pod);

    /// <summary>SIGKILL, to it and whatever it started. Does not wait for its end.</summary>
    Task KillAsync(RunningPod pod);

    /// <summary>Takes away what an exited pod left: its port, its container. Of one whose end is <see cref="RunningPod.Unsure"/>, what runs.</summary>
    /// <param name="pod">The pod.</param>
    /// <param name="ct">Gives up on a host that cannot be asked.</param>
    Task ForgetAsync(RunningPod pod, CancellationToken ct = default);

    /// <summary>Whether a pod of another gateway runs here; throws when that cannot be told now. Processes are known by their marks, not by this.</summary>
    Task<bool> RunsAsync(string podId, CancellationToken ct) => Task.FromResult(false);

    /// <summary>
    /// Pods of this host that run although nobody cares for them: those of an earlier gateway process, and those whose start was reported as
    /// failed but did happen. What they left that runs no more is taken away.
    /// </summary>
    /// <param name="known">Whether a pod is cared for. Asked of what was found: starts go on meanwhile, and are known before they begin.</param>
    /// <param name="ct">Gives up.</param>
    /// <exception cref="InvalidOperationException">The host cannot be asked now.</exception>
    Task<IReadOnlyList<RunningPod>> AdoptAsync(Func<string, bool> known, CancellationToken ct);

    /// <summary>Tells what is declared, again and again, so that the host may have ready what starts of it will need.</summary>
    void Prepare(IReadOnlyList<Deployment> declared)
    {
        // Nothing, unless a host knows better.
    }

    /// <summary>Whether pods are to go on when the gateway is told to stop, for the next one to adopt.</summary>
    bool KeepsPods { get; }
}
