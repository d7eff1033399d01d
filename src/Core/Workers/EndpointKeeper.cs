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
    private bool told;

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

    /// <summary>Whether dispatch was told exactly this since this gateway leads.</summary>
    public bool HasTold(BlockedStart? blocked) => told && Told == blocked;

    /// <summary>What dispatch was told last.</summary>
    public BlockedStart? Told { get; private set; }

    public void Tell(BlockedStart? blocked) => (Told, told) = (blocked, true);

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
            var before = end.Proven ? StartBackoff.None : backoff;
            backoff = end.Pod.ReadyAt is null ? before.Failed(now, end.Pod.Reason) : before.Died(now, end.Pod.Reason);
            return backoff.NextTry - now;
        }
    }

    /// <summary>A pod has been ready for long enough.</summary>
    public void Proven()
    {
        lock (gate) backoff = StartBackoff.None;
    }

    /// <summary>Why requests should be told that no worker will take them; null: they may wait for one.</summary>
    /// <param name="endpoint">As it is declared.</param>
    /// <param name="anyReady">Whether a worker is up.</param>
    public BlockedStart? Block(Endpoint endpoint, bool anyReady)
    {
        if (endpoint.Scaling.Max == 0)
            return new BlockedStart($"endpoint {endpoint.Id} is switched off: its scaling.max is 0", DateTimeOffset.MaxValue);
        if (Refusal is { } refusal)
            return new BlockedStart($"endpoint {endpoint.Id} takes no requests: {refusal.Reason}", refusal.Until, ByPolicy: true);
        if (Wait is { Never: true } wait && !anyReady)
            return new BlockedStart($"endpoint {endpoint.Id} can have no worker: {wait.Text}", DateTimeOffset.MaxValue);
        var now = Backoff;
        if (!now.Blocks || anyReady) return null;
        var fails = $"the workers of {endpoint.Id} fail to start ({now.Failures} times)";
        // The reason has the last line of a worker's output, which may hold anything.
        return new BlockedStart($"{fails}: {now.Reason}", now.NextTry,
            PublicReason: string.Create(CultureInfo.InvariantCulture, $"{fails}; the next try is at {now.NextTry.UtcDateTime:HH:mm:ss} UTC"));
    }
}
