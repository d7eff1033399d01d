using System.Globalization;
using Sluice.Core.Autoscaling;
using Sluice.Core.Dispatch;
using Sluice.Core.Endpoints;
using Sluice.Core.Gpus;

namespace Sluice.Core.Workers;

/// <summary>What the leader remembers of one endpoint between two looks.</summary>
internal sealed class EndpointKeeper
{
    private readonly Lock gate = new();
    private StartBackoff backoff = StartBackoff.None;
    private string? fingerprint;
    private DateTimeOffset failedAt;

    public ScaleState Scale { get; set; } = ScaleState.Initial;

    /// <summary>As which leader this gateway made <see cref="Scale"/>; 0: it has not led yet.</summary>
    public long Epoch { get; private set; }

    /// <summary>The last decision.</summary>
    public DecisionNote? Noted { get; set; }

    /// <summary>Why the scaling policy takes no requests; null: it does.</summary>
    public Refusal? Refusal { get; set; }

    /// <summary>Goes on with what the leader before remembered.</summary>
    public void Resume(long epoch, ScaleState state) => (Epoch, Scale) = (epoch, state);

    /// <summary>Why its workers wait for devices; null: none does.</summary>
    public GpuWait? Wait { get; set; }

    /// <summary>Ready workers with devices that do nothing and are above its minimum, the youngest first.</summary>
    public IReadOnlyList<SparePod> Spare { get; set; } = [];

    /// <summary>Workers that are on their way out.</summary>
    public IReadOnlySet<string> Leaving { get; set; } = new HashSet<string>();

    /// <summary>Workers that made room for an endpoint of higher priority: they are not taken back.</summary>
    public HashSet<string> Reclaimed { get; } = [];

    /// <summary>What was told of <see cref="Wait"/>, and in which epoch: another leader may have told something else since.</summary>
    public (long Epoch, GpuWait? Wait) ToldWait { get; set; }

    public StartBackoff Backoff
    {
        get
        {
            lock (gate) return backoff;
        }
    }

    /// <summary>A changed declaration deserves a fresh try.</summary>
    public void Follow(string declared)
    {
        lock (gate)
        {
            if (fingerprint is not null && fingerprint != declared) backoff = StartBackoff.None;
            fingerprint = declared;
        }
    }

    /// <summary>A pod failed; returns how long to wait before the next start.</summary>
    public TimeSpan Failed(PodEnd end, DateTimeOffset now)
    {
        lock (gate)
        {
            if (end.Pod.Fingerprint != fingerprint) return TimeSpan.Zero;
            failedAt = now;
            var before = end.Proven ? StartBackoff.None : backoff;
            backoff = end.Pod.ReadyAt is null ? before.Failed(now, end.Pod.Reason) : before.Died(now, end.Pod.Reason);
            return backoff.NextTry - now;
        }
    }

    /// <summary>A pod of the present declaration has been ready for long enough. One that was ready before the last failure proves nothing about the
    /// starts after it.</summary>
    public void Proven(DateTimeOffset readyAt)
    {
        lock (gate)
            if (readyAt > failedAt) backoff = StartBackoff.None;
    }

    /// <summary>Starts that failed in a row; null: none.</summary>
    public StartTrouble? Trouble => Backoff is { Failures: > 0 } b ? new StartTrouble(b.Failures, b.Reason, b.NextTry) : null;

    /// <summary>Why requests are refused instead of waiting for a worker; null: they wait.</summary>
    /// <param name="endpoint">As it is declared.</param>
    /// <param name="anyReady">Whether a worker is up.</param>
    /// <param name="now">The time. From the next try on requests wait for its outcome.</param>
    public BlockedStart? Block(Endpoint endpoint, bool anyReady, DateTimeOffset now)
    {
        if (endpoint.Scaling.Max == 0)
            return new BlockedStart($"endpoint {endpoint.Id} is switched off: its scaling.max is 0", DateTimeOffset.MaxValue, ByPolicy: true);
        if (Refusal is { } refusal)
            return new BlockedStart($"endpoint {endpoint.Id} takes no requests: {refusal.Reason}", refusal.Until, ByPolicy: true,
                PublicReason: refusal.PublicReason is { } told ? $"endpoint {endpoint.Id} takes no requests: {told}" : null);
        if (anyReady) return null;
        if (Wait is { Never: true } wait)
            return new BlockedStart($"endpoint {endpoint.Id} can have no worker: {wait.Text}", DateTimeOffset.MaxValue,
                PublicReason: $"endpoint {endpoint.Id} can have no worker: {wait.PublicText}");
        var starts = Backoff;
        if (!starts.Blocks || starts.NextTry <= now) return null;
        var fails = string.Create(CultureInfo.InvariantCulture,
            $"the workers of {endpoint.Id} fail to start ({starts.Failures} times); the next try is at {starts.NextTry.UtcDateTime:HH:mm:ss} UTC");
        // The reason has the last lines of a worker's output, which may contain anything.
        return new BlockedStart($"{fails}; the last failure: {starts.Reason}", starts.NextTry, PublicReason: fails);
    }
}
