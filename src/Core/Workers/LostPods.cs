namespace Sluice.Core.Workers;

/// <summary>
/// Which pods of other hosts are to be taken for gone. Pure. A worker that runs is not gone because its host says nothing: it still serves, and
/// has its memory. But nobody ends what its silent host should have ended: a start that took too long, one that drains or that nobody reaches.
/// </summary>
/// <param name="Living">Hosts that say that they live.</param>
/// <param name="DeadBefore">Pods whose process was gone at the last look: their own host has had the time to tell why.</param>
/// <param name="Unreachable">Ready pods that gateways called unreachable.</param>
/// <param name="Here">Devices of this machine: what had them is asked for here, and is not gone before there was an answer.</param>
/// <param name="StartTimeout">How long a start may take.</param>
public readonly record struct LostPods(IReadOnlySet<string> Living, IReadOnlySet<string> DeadBefore, IReadOnlySet<string> Unreachable,
    IReadOnlySet<string> Here, TimeSpan StartTimeout)
{
    /// <summary>Whether a pod is gone.</summary>
    /// <param name="pod">A pod of another host.</param>
    /// <param name="lives">Whether its process or its container runs; null: it is not known.</param>
    /// <param name="now">The time.</param>
    public bool Has(Pod pod, bool? lives, DateTimeOffset now)
    {
        if (Living.Contains(pod.HostId)) return pod.State != PodState.Failed && lives == false && DeadBefore.Contains(pod.Id);
        if (lives is null && pod.State != PodState.Failed && pod.Devices.Any(Here.Contains)) return false;
        if (lives != true) return true;
        // A process that runs has its GPUs, whatever becomes of it: they are nobody else's.
        if (pod.Devices.Count > 0) return false;
        return pod.State switch
        {
            PodState.Ready => Unreachable.Contains(pod.Id),
            PodState.Starting => now - pod.StartedAt > StartTimeout,
            _ => true,
        };
    }
}
