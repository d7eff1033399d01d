using System.Globalization;
using Sluice.Domain.Declarations;

namespace Sluice.Domain.Scaling;

/// <summary>
/// Decides how many workers an endpoint should run. Pure: it uses no clock, log or store. The decision is made in named
/// steps, in the order of <see cref="ScaleSteps"/>: the demand of the scaler; requests that started and ended between
/// two passes; buffer workers; scheduled minimums; the bounds; the step limit; the scale-in delay; the pause; the daily
/// spend limit. Starting workers count as running, so that the same demand never triggers two workers.
/// </summary>
public static class Autoscaler
{
    /// <summary>Computes one decision.</summary>
    /// <param name="policy">The scaling policy of the endpoint.</param>
    /// <param name="load">The load and the workers at <paramref name="now"/>.</param>
    /// <param name="state">The state that the previous decision returned, or <see cref="ScaleState.Initial"/>.</param>
    /// <param name="now">The time of the decision.</param>
    public static ScaleDecision Decide(ScalePolicy policy, LoadSnapshot load, ScaleState state, DateTimeOffset now)
    {
        var seen = Observation.Observe(policy, load, state, now);
        var builder = new DecisionBuilder(policy, load, state, seen, now);
        builder.ComputeDemand();
        builder.CoverRecentRequests();
        builder.AddBuffer();
        var least = builder.ApplySchedules();
        builder.ApplyBounds(least);
        builder.LimitStep();
        builder.DelayScaleIn();
        builder.ApplyPause();
        builder.LimitSpending();
        return builder.Build();
    }

    /// <summary>
    /// Returns the state of an endpoint for which no decision was made, because it had no worker and no request until
    /// a time. It is the state that decisions until then would have returned, so requests after that time are not
    /// taken for requests of the whole pause.
    /// </summary>
    /// <param name="policy">The scaling policy of the endpoint.</param>
    /// <param name="state">The state that the last decision returned.</param>
    /// <param name="until">Until when there was no worker and no request.</param>
    public static ScaleState Rest(ScalePolicy policy, ScaleState state, DateTimeOffset until)
    {
        if (state.At is not { } at || until <= at) return state;
        var elapsed = until - at;
        return state with
        {
            At = until,
            Traffic = state.Traffic.Add(0, elapsed),
            Panic = ConcurrencyScaler.Observe(policy, state.Panic, 0, elapsed),
        };
    }

    internal static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    /// <summary>Returns how many workers are required for a number of concurrent requests.</summary>
    internal static int WorkersFor(double requests, double each) =>
        (int)Math.Min(int.MaxValue / 2, Math.Ceiling(Math.Max(0, requests) / Math.Max(1e-9, each) - 1e-9));
}
