using Sluice.Core.Workers;

namespace Sluice.Simulator;

/// <summary>A worker of the simulation: a real pod's record, and the requests it has.</summary>
public sealed class SimWorker(Pod pod)
{
    public Pod Pod { get; private set; } = pod;

    public HashSet<int> Requests { get; } = [];

    /// <summary>When it last had nothing to do.</summary>
    public DateTimeOffset IdleSince { get; set; } = pod.StartedAt;

    public bool Gone { get; set; }

    public bool Drained { get; set; }

    public PodState State => Pod.State;

    public void Move(PodState state, DateTimeOffset now) =>
        Pod = Pod with { State = state, ReadyAt = state == PodState.Ready ? now : Pod.ReadyAt };
}
