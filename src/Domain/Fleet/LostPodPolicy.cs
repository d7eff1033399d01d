namespace Sluice.Domain.Fleet;

/// <summary>
/// Decides which pods of other hosts are considered lost. Pure. A running worker is not lost when only its host is
/// silent: it still serves, and uses its memory. But no gateway stops a pod of a silent host that must end: a start
/// that exceeded its timeout, a draining pod, or one that gateways cannot reach.
/// </summary>
/// <param name="Living">Hosts with a valid lease.</param>
/// <param name="DeadBefore">
/// Pods whose process did not exist in the previous round: their own host has had the time to record the reason.
/// </param>
/// <param name="Unreachable">Ready pods that gateways reported as unreachable.</param>
/// <param name="Here">
/// Devices of this machine. A pod that holds one of them is checked on this host, and is not lost before the result is
/// known.
/// </param>
/// <param name="StartTimeout">Longest duration of a start.</param>
/// <param name="IsShared">
/// Whether this gateway's host is shared with the others, so that it adopts the running pods of lost gateways.
/// </param>
public readonly record struct LostPodPolicy(
    IReadOnlySet<string> Living,
    IReadOnlySet<string> DeadBefore,
    IReadOnlySet<string> Unreachable,
    IReadOnlySet<string> Here,
    TimeSpan StartTimeout,
    bool IsShared = false)
{
    /// <summary>Whether a pod is lost.</summary>
    /// <param name="pod">A pod of another host.</param>
    /// <param name="lives">Whether its process or its container runs; null: unknown.</param>
    /// <param name="now">The current time.</param>
    public bool IsLost(Pod pod, bool? lives, DateTimeOffset now)
    {
        if (Living.Contains(pod.HostId))
            return pod.State != PodState.Failed && lives == false && DeadBefore.Contains(pod.Id);
        if (IsShared && lives != false && pod.State != PodState.Failed) return false;
        if (lives is null && pod.State != PodState.Failed && pod.Devices.Any(Here.Contains)) return false;
        if (lives != true) return true;
        // A running process uses its GPUs, whatever its state: they must not be assigned to another pod.
        if (pod.Devices.Count > 0) return false;
        return pod.State switch
        {
            PodState.Ready => Unreachable.Contains(pod.Id),
            PodState.Starting => now - pod.StartedAt > StartTimeout,
            _ => true,
        };
    }
}
