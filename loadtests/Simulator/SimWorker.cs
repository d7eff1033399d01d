using Sluice.Domain.Fleet;

namespace Sluice.Simulator;

/// <summary>A simulated worker: the record of its pod, and its requests.</summary>
public sealed class SimWorker(Pod pod)
{
    public Pod Pod { get; private set; } = pod;

    public HashSet<int> Requests { get; } = [];

    /// <summary>When it last became idle.</summary>
    public DateTimeOffset IdleSince { get; set; } = pod.StartedAt;

    public bool Gone { get; set; }

    public bool Drained { get; set; }

    public PodState State => Pod.State;

    public void Move(PodState state, DateTimeOffset now) =>
        Pod = Pod with { State = state, ReadyAt = state == PodState.Ready ? now : Pod.ReadyAt };
}
