using Sluice.Domain.Usage;

namespace Sluice.Gateway.Usage;

/// <summary>The usage of a group in a step of time, as the API shows it.</summary>
/// <param name="At">The begin of the step.</param>
/// <param name="Group">
/// The id of the key or endpoint, the name of the model, or <c>name=value</c> of a tag. Null: usage of no group, such
/// as the time of workers that no key used.
/// </param>
/// <param name="Requests">Requests that were sent to a worker.</param>
/// <param name="Errors">Those of them that failed.</param>
/// <param name="Jobs">Jobs that ended, by status.</param>
/// <param name="BytesIn">Bytes of requests and inputs.</param>
/// <param name="BytesOut">Bytes of responses and outputs.</param>
/// <param name="Tokens">Tokens.</param>
/// <param name="ColdStarts">Workers that became ready.</param>
/// <param name="WorkerSeconds">Seconds of workers.</param>
/// <param name="Cost">The cost of the seconds that have a price.</param>
/// <param name="UnpricedSeconds">Seconds of workers whose type has no price.</param>
public sealed record UsageView(DateTimeOffset At, string? Group, long Requests, long Errors, UsageJobs Jobs,
    long BytesIn, long BytesOut, UsageTokens Tokens, long ColdStarts, UsageSeconds WorkerSeconds, double Cost,
    double UnpricedSeconds)
{
    /// <summary>Returns the view of a line.</summary>
    public static UsageView From(UsageLine line)
    {
        var s = line.Sums;
        return new UsageView(line.At, line.Group, s[UsageQuantity.Requests], s[UsageQuantity.Errors],
            new UsageJobs(s[UsageQuantity.Completed], s[UsageQuantity.Failed], s[UsageQuantity.Cancelled],
                s[UsageQuantity.TimedOut]),
            s[UsageQuantity.BytesIn], s[UsageQuantity.BytesOut],
            new UsageTokens(s[UsageQuantity.Prompt], s[UsageQuantity.Cached], s[UsageQuantity.Generated],
                s[UsageQuantity.Wasted]),
            s[UsageQuantity.ColdStarts],
            new UsageSeconds(Round(line.Seconds.Starting), Round(line.Seconds.Busy), Round(line.Seconds.Idle)),
            Math.Round(line.Cost, 6), Round(line.UnpricedSeconds));
    }

    private static double Round(double seconds) => Math.Round(seconds, 3);
}

/// <summary>Jobs that ended, by status. A job that is retried ends more than once.</summary>
public sealed record UsageJobs(long Completed, long Failed, long Cancelled, long TimedOut);

/// <summary>
/// Tokens. <paramref name="Prompt"/> contains the cached ones, and <paramref name="Generated"/> the wasted ones, which
/// no client got.
/// </summary>
public sealed record UsageTokens(long Prompt, long Cached, long Generated, long Wasted);

/// <summary>
/// Seconds of workers. Requests and jobs are busy by their share of a worker: one of 8 slots is an eighth.
/// </summary>
public sealed record UsageSeconds(double Starting, double Busy, double Idle);
