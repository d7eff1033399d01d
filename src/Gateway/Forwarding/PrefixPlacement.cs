using Sluice.Domain.Fleet;
using Sluice.Gateway.Observability;

namespace Sluice.Gateway.Forwarding;

/// <summary>
/// Prefers, for each request that generates text, the worker whose cache probably has most of its prompt (ADR 108).
/// </summary>
public sealed class PrefixPlacement(GatewayMetrics metrics)
{
    /// <summary>About 100 bytes each.</summary>
    private const int Capacity = 1 << 17;

    private readonly PrefixIndex index = new(Capacity);

    /// <summary>Returns the worker that a request prefers, or null.</summary>
    /// <param name="state">The request.</param>
    /// <param name="body">The body, as far as it has arrived.</param>
    public PreferredWorker? Find(ForwardState state, ReplayBody? body)
    {
        if (!state.IsRepeatable || body is null || !state.Endpoint.Forwarding.PrefersCached) return null;
        if (state.Beginning is null)
        {
            body.TryBuffer();
            state.Beginning = PrefixBlocks.Hash(state.Endpoint.Id, state.Flow, body.Kept.Span);
        }

        return index.Find(state.Beginning) is { } pod
            ? new PreferredWorker(pod, PreferredWorker.MarginOf(state.Template.Concurrency))
            : null;
    }

    /// <summary>Records the worker that a request got.</summary>
    /// <param name="state">The request, with its worker.</param>
    /// <param name="preferred">The worker that it preferred.</param>
    public void Record(ForwardState state, PreferredWorker? preferred)
    {
        if (state.Beginning is not { Length: > 0 } hashes) return;
        var pod = state.Worker!.PodId;
        index.Record(hashes, pod);
        if (preferred is not null) metrics.Placed(state.Endpoint.Id, preferred.PodId == pod);
    }
}
