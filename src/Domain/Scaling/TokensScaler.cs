using Sluice.Domain.Declarations;

namespace Sluice.Domain.Scaling;

/// <summary>
/// The TOKENS scaler: tokens in flight and tokens that wait, divided by the tokens that a worker should hold. It also
/// covers the requests by their number, because a worker has no more slots than its concurrency, whatever they hold.
/// </summary>
internal sealed class TokensScaler : IScaler
{
    public ScalerDemand Compute(in ScalerInput input)
    {
        var (load, requests) = (input.Load, input.Load.Queued + input.Load.Busy);
        var (tokens, waiting) = (load.TokensInFlight, load.TokensWaiting);
        var slots = Math.Max(1, load.SlotsPerWorker);
        var bySlots = Autoscaler.WorkersFor(requests, slots);
        var (each, source) = Target(input.Policy, input.State.TokensPerWorker);
        // The tokens of a request that has just ended are not demand.
        var byTokens = requests == 0 || each == 0 ? 0 : Autoscaler.WorkersFor(tokens + waiting, each);
        var workers = Math.Max(bySlots, byTokens);
        var why = Autoscaler.Text($"{tokens} tokens in flight + {waiting} waiting, {source}: ")
            + (bySlots > byTokens
                ? Autoscaler.Text($"{byTokens}; {load.Queued} waiting + {load.Busy} running requests, ")
                    + Autoscaler.Text($"{slots} slots per worker: {workers}")
                : Autoscaler.Text($"{workers}"));
        return new ScalerDemand(workers, why, input.State);
    }

    /// <summary>Returns the tokens that a worker should hold, and where the number is from; 0: not known yet.</summary>
    private static (double Each, string Source) Target(ScalePolicy policy, long capacity) => policy switch
    {
        { TargetTokens: > 0 } => (policy.TargetTokens, Autoscaler.Text($"{policy.TargetTokens} per worker")),
        _ when capacity == 0 => (0, "capacity of a worker not known yet"),
        _ => (
            capacity * (policy.TargetUtilization / 100.0),
            Autoscaler.Text($"{capacity * (policy.TargetUtilization / 100.0):0} per worker ")
                + Autoscaler.Text($"({policy.TargetUtilization} % of its {capacity})")),
    };
}
