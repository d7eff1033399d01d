using System.Threading.RateLimiting;

namespace Sluice.Gateway.Auth;

/// <summary>
/// What a question about jobs costs beyond itself. A list of 1,000 jobs and the status of one job are one request each, but not the same work, so each
/// key has a budget of units a second (<c>SLUICE_POLL_RATE</c>); a question is one unit, and its work is charged here, before it is done.
/// </summary>
public sealed class PollCharge(PartitionedRateLimiter<string> limiter, string who, int rate, TimeProvider time)
{
    /// <summary>Jobs that are read for a list, for one unit: a job in a list costs less than a request for it.</summary>
    public const int Jobs = 4;

    /// <summary>Jobs that are cancelled together, for one unit.</summary>
    public const int Ends = 20;

    /// <summary>Places in a queue that are read, for one unit.</summary>
    public const int Tickets = 200;

    /// <summary>Bytes of outputs and streams, for one unit.</summary>
    public const int Bytes = 64 << 10;

    private static readonly TimeSpan AskAgain = TimeSpan.FromSeconds(1);

    /// <summary>The charge of a request; a request that is not paced has none.</summary>
    public static PollCharge? Of(HttpContext context) => context.Features.Get<PollCharge>();

    /// <summary>Waits until the key may use what this work costs.</summary>
    /// <param name="count">Jobs, places or bytes.</param>
    /// <param name="perUnit">How many of these are one unit; what is less is free.</param>
    /// <param name="ct">Stops waiting.</param>
    public async Task TakeAsync(long count, int perUnit, CancellationToken ct)
    {
        if (rate == 0) return;
        for (var units = count / perUnit; units > 0;)
        {
            var some = (int)Math.Min(units, rate);
            using var turn = await limiter.AcquireAsync(who, some, ct);
            if (turn.IsAcquired) units -= some;
            // Too many units are waited for already.
            else await Task.Delay(AskAgain, time, ct);
        }
    }
}
