namespace Sluice.Gateway.Forwarding;

/// <summary>
/// Decides whether a request whose worker was lost is sent to another one. One for each request; it does no I/O.
/// </summary>
/// <param name="maxAttempts">Number of workers that may be lost with the request.</param>
/// <param name="isRepeatable">
/// Whether the request generates text, which has no effects: it may run again, also in the middle of its stream.
/// </param>
internal sealed class RetryBudget(int maxAttempts, bool isRepeatable)
{
    /// <summary>
    /// The maximum number of failed connections per request that do not count as attempts. A gateway that exits leaves
    /// all of its workers; after a failed connection, the slots of the worker are not granted again.
    /// </summary>
    private const int MaxUnseen = 50;

    /// <summary>
    /// The maximum number of losses after which a stream continues. A worker that is lost after a new token is not
    /// evidence against the request, but a request may also end its worker after some tokens each time.
    /// </summary>
    private const int MaxResumed = 32;

    /// <summary>
    /// The delay before the third attempt; it doubles for each later attempt. The workers of a gateway that exits do
    /// not all exit in the same millisecond, and three attempts without a delay would take only a few milliseconds.
    /// </summary>
    private static readonly TimeSpan RetryDelay = TimeSpan.FromMilliseconds(250);

    private int unseen, uncounted, seen, resumed;

    /// <summary>
    /// Whether the request runs alone on its worker from now on: other work may have ended the last one.
    /// </summary>
    public bool IsIsolated { get; private set; }

    /// <summary>Records a lost worker. Returns the delay before the next attempt; null: there is none.</summary>
    /// <param name="lost">The loss.</param>
    /// <param name="concurrency">Number of slots of the worker.</param>
    /// <param name="hasProgress">Whether the client got a part of the stream in this attempt.</param>
    public TimeSpan? OnLost(ForwardResult lost, int concurrency, bool hasProgress)
    {
        if (hasProgress)
        {
            (unseen, uncounted, seen, IsIsolated) = (0, 0, 0, false);
            return maxAttempts > 1 && ++resumed <= MaxResumed ? TimeSpan.Zero : null;
        }

        if (lost.Unseen && unseen < MaxUnseen) unseen++;
        else if (IsUncounted(lost, concurrency)) uncounted++;
        else seen++;
        if (seen >= maxAttempts) return null;
        return seen > 1 && !lost.Unseen ? RetryDelay * (1 << Math.Min(seen - 2, 3)) : TimeSpan.Zero;
    }

    /// <summary>
    /// Isolates the request if other work may have ended the worker. From then on, every loss counts, so at most one
    /// is not counted. Text is isolated only for the last attempt: alone, each of the many streams of a lost worker
    /// would need a worker.
    /// </summary>
    private bool IsUncounted(ForwardResult lost, int concurrency)
    {
        if (!lost.WorkerBroke || IsIsolated || maxAttempts <= 1 || concurrency <= 1) return false;
        if (!isRepeatable)
        {
            IsIsolated = true;
            return !lost.WasAlone;
        }

        IsIsolated = seen >= maxAttempts - 2;
        return uncounted == 0 && !lost.WasAlone;
    }
}
