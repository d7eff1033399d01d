using System.Globalization;
using Sluice.ControlPlane.Pods;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Nodes;
using Sluice.Domain.Placement;
using Sluice.Domain.Scaling;
using Sluice.Storage.Fleet;

namespace Sluice.ControlPlane.Leadership;

/// <summary>The leader's state of one endpoint between two rounds of the reconciler.</summary>
internal sealed class EndpointReconcileState
{
    /// <summary>The number of recorded failures from which those without a record are forgotten.</summary>
    private const int MaxFailures = 100;

    private readonly Lock gate = new();
    private StartBackoff backoff = StartBackoff.None;
    private NodeFailures nodeFailures = NodeFailures.None;
    private string? fingerprint;
    private DateTimeOffset failedAt;

    /// <summary>
    /// The failed pods of other hosts that the backoff contains, or that failed under an earlier leader.
    /// </summary>
    private readonly HashSet<string> failures = [];

    public ScaleState Scale { get; set; } = ScaleState.Initial;

    /// <summary>The leader epoch in which this gateway made <see cref="Scale"/>; 0: it has not led yet.</summary>
    public long Epoch { get; private set; }

    /// <summary>The last decision.</summary>
    public ScalingDecisionRecord? Noted { get; set; }

    /// <summary>Why the scaling policy rejects requests; null: it accepts them.</summary>
    public Refusal? Refusal { get; set; }

    /// <summary>Continues with the scaling state that the previous leader stored.</summary>
    public void Resume(long epoch, ScaleState state) => (Epoch, Scale) = (epoch, state);

    /// <summary>Why workers of the endpoint wait for devices; null: none waits.</summary>
    public GpuWait? Wait { get; set; }

    /// <summary>
    /// Ready workers that have devices, are idle and exceed the endpoint's minimum; the youngest first.
    /// </summary>
    public IReadOnlyList<SparePod> Spare { get; set; } = [];

    /// <summary>Workers that drain or stop.</summary>
    public IReadOnlySet<string> Leaving { get; set; } = new HashSet<string>();

    /// <summary>Workers that were drained in favor of an endpoint of higher priority. They are not resumed.</summary>
    public HashSet<string> Reclaimed { get; } = [];

    /// <summary>
    /// The last stored value of <see cref="Wait"/> and its epoch. Another leader may have stored another value since.
    /// </summary>
    public (long Epoch, GpuWait? Wait) StoredWait { get; set; }

    public StartBackoff Backoff
    {
        get
        {
            lock (gate) return backoff;
        }
    }

    /// <summary>The failed starts of the current declaration, by host.</summary>
    public NodeFailures NodeFailures
    {
        get
        {
            lock (gate) return nodeFailures;
        }
    }

    /// <summary>
    /// Sets the fingerprint of the current declaration. A changed declaration resets the backoff and the failures of
    /// nodes.
    /// </summary>
    public void SetFingerprint(string declared)
    {
        lock (gate)
        {
            if (fingerprint is not null && fingerprint != declared)
                (backoff, nodeFailures) = (StartBackoff.None, NodeFailures.None);
            fingerprint = declared;
        }
    }

    /// <summary>
    /// Records a failed pod. Returns the time until the next start is allowed; zero if the pod has another declaration
    /// than the current one.
    /// </summary>
    public TimeSpan RecordFailure(PodEnd end, DateTimeOffset now)
    {
        lock (gate)
        {
            if (end.Pod.Fingerprint != fingerprint) return TimeSpan.Zero;
            failedAt = now;
            if (end.Pod.ReadyAt is null) nodeFailures = nodeFailures.WithFailure(end.Pod.HostId, now);
            var before = end.Proven ? StartBackoff.None : backoff;
            backoff = end.Pod.ReadyAt is null ? before.Failed(now, end.Pod.Reason) : before.Died(now, end.Pod.Reason);
            return backoff.NextTry - now;
        }
    }

    /// <summary>
    /// Records the failed pods of other hosts, whose records are all that this gateway learns about them.
    /// </summary>
    public void RecordFailures(IReadOnlyList<Pod> pods, DateTimeOffset now)
    {
        foreach (var pod in pods.Where(p => p.State == PodState.Failed))
        {
            lock (gate)
                if (!failures.Add(pod.Id)) continue;
            RecordFailure(new PodEnd(pod, Failed: true, now - pod.ReadyAt >= StartBackoff.ProvenAfter), now);
        }

        lock (gate)
            if (failures.Count > MaxFailures) failures.IntersectWith(pods.Select(p => p.Id));
    }

    /// <summary>Leaves out the pods that have failed under an earlier leader.</summary>
    public void IgnoreFailures(IEnumerable<Pod> pods)
    {
        lock (gate) failures.UnionWith(pods.Where(p => p.State == PodState.Failed).Select(p => p.Id));
    }

    /// <summary>
    /// Records that a pod of the current declaration has been ready for <see cref="StartBackoff.ProvenAfter"/>, which
    /// resets the backoff. A pod that became ready before the last failure proves nothing about the starts after it.
    /// </summary>
    /// <param name="hostId">The host of the pod.</param>
    /// <param name="readyAt">When the pod became ready.</param>
    public void RecordProven(string hostId, DateTimeOffset readyAt)
    {
        lock (gate)
        {
            if (readyAt > failedAt) backoff = StartBackoff.None;
            if (readyAt > nodeFailures.LastOf(hostId, readyAt)) nodeFailures = nodeFailures.Without(hostId);
        }
    }

    /// <summary>The consecutive failed starts; null: there are none.</summary>
    public StartTrouble? Trouble =>
        Backoff is { Failures: > 0 } b ? new StartTrouble(b.Failures, b.Reason, b.NextTry) : null;

    /// <summary>Returns why requests are rejected instead of waiting for a worker; null: they wait.</summary>
    /// <param name="endpoint">The declared endpoint.</param>
    /// <param name="anyReady">Whether a worker is ready.</param>
    /// <param name="now">The current time. Once the next start is due, requests wait for its outcome.</param>
    public BlockedStart? GetBlock(Endpoint endpoint, bool anyReady, DateTimeOffset now)
    {
        if (endpoint.Scaling.Max == 0)
            return new BlockedStart($"Endpoint '{endpoint.Id}' rejects requests: its scaling.max is 0.",
                DateTimeOffset.MaxValue, ByPolicy: true);
        if (Refusal is { } refusal)
        {
            var publicReason = refusal.PublicReason is { } reason
                ? $"Endpoint '{endpoint.Id}' rejects requests: {reason}." : null;
            return new BlockedStart($"Endpoint '{endpoint.Id}' rejects requests: {refusal.Reason}.", refusal.Until,
                ByPolicy: true, PublicReason: publicReason);
        }
        if (anyReady) return null;
        if (Wait is { Never: true } wait)
            return new BlockedStart($"Endpoint '{endpoint.Id}' cannot start a worker. {wait.Text}",
                DateTimeOffset.MaxValue,
                PublicReason: $"Endpoint '{endpoint.Id}' cannot start a worker. {wait.PublicText}");
        var starts = Backoff;
        if (!starts.Blocks || starts.NextTry <= now) return null;
        var fails = string.Create(CultureInfo.InvariantCulture,
            $"Workers of endpoint '{endpoint.Id}' failed to start {starts.Failures} times. "
                + $"The next attempt is at {starts.NextTry.UtcDateTime:HH:mm:ss} UTC.");
        // The full reason contains the last lines of a worker's output, which may contain any text.
        return new BlockedStart($"{fails} Last failure: {starts.Reason}", starts.NextTry, PublicReason: fails);
    }
}
