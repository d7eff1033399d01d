using Sluice.Domain.Declarations;

namespace Sluice.Domain.Scaling;

/// <summary>
/// A rule that computes how many workers the load requires: the first step of <see cref="Autoscaler.Decide"/>. Pure: no
/// clock, no I/O, and no state except the one that is passed in and returned. The special rules of a scaler are members
/// of this interface, so that they are in the scaler's file.
/// </summary>
internal interface IScaler
{
    /// <summary>Computes the workers that the load requires, before buffer, schedules, bounds and delays.</summary>
    ScalerDemand Compute(in ScalerInput input);

    /// <summary>
    /// Whether scale-ins are at least one <see cref="ScalePolicy.StableWindow"/> apart, unless the policy sets a
    /// scale-in delay.
    /// </summary>
    bool SpacesScaleIns => false;

    /// <summary>
    /// Returns how long fewer workers must be wanted before some of them stop, if the policy sets no scale-in delay.
    /// </summary>
    TimeSpan GetScaleInDelay(ScalePolicy policy, ScaleState state) => policy.IdleTimeout;
}

/// <summary>The input of a scaler.</summary>
/// <param name="Policy">The scaling policy of the endpoint.</param>
/// <param name="Load">The load and the workers now.</param>
/// <param name="Before">The state that the previous decision returned.</param>
/// <param name="State">The state with the load of this pass.</param>
/// <param name="Now">The time of the decision.</param>
internal readonly record struct ScalerInput(
    ScalePolicy Policy, LoadSnapshot Load, ScaleState Before, ScaleState State, DateTimeOffset Now);

/// <summary>The result of a scaler.</summary>
/// <param name="Workers">The workers that the load requires.</param>
/// <param name="Why">The inputs and the rule, for operators.</param>
/// <param name="State">The next state.</param>
internal readonly record struct ScalerDemand(int Workers, string Why, ScaleState State);
