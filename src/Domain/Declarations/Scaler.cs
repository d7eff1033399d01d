using System.Text.Json.Serialization;

namespace Sluice.Domain.Declarations;

/// <summary>
/// The rule that computes the demand for workers: the first step of <c>Scaling.Autoscaler.Decide</c>.
/// </summary>
[JsonConverter(typeof(ScalerConverter))]
public enum Scaler
{
    /// <summary>
    /// The number of workers with which a new request waits no longer than <see cref="ScalePolicy.TargetWait"/>, from
    /// learned arrival rates, service times and start times.
    /// </summary>
    Slo,

    /// <summary>Waiting and running requests, divided by <see cref="ScalePolicy.Target"/>.</summary>
    RequestCount,

    /// <summary>
    /// One more worker whenever the oldest request has waited longer than <see cref="ScalePolicy.MaxDelay"/>.
    /// </summary>
    QueueDelay,

    /// <summary>
    /// Mean concurrency over a stable window, or over a shorter window in a panic, divided by
    /// <see cref="ScalePolicy.Target"/> times <see cref="ScalePolicy.TargetUtilization"/>: Knative's rule, except that
    /// starting workers count.
    /// </summary>
    Concurrency,

    /// <summary>
    /// Tokens of running and waiting texts, divided by <see cref="ScalePolicy.TargetTokens"/>, or by
    /// <see cref="ScalePolicy.TargetUtilization"/> of the tokens that a worker can hold.
    /// </summary>
    Tokens,
}
