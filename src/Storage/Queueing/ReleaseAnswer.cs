using Sluice.Domain.Jobs;

namespace Sluice.Storage.Queueing;

/// <summary>
/// The result of <c>release</c>: the tickets of the holder that were granted a slot, by entry, and the jobs that it
/// claimed.
/// </summary>
/// <param name="Lost">Whether the holder has no lease.</param>
/// <param name="Depth">The number of tickets in the queue.</param>
/// <param name="Granted">The tickets of the holder that were granted a slot.</param>
/// <param name="Claimed">The jobs that the holder claimed.</param>
/// <param name="More">Whether a limit ended the pass, so another pass may find more.</param>
/// <param name="Ended">One result per end, in the same order.</param>
public sealed record ReleaseAnswer(
    bool Lost,
    int Depth,
    SlotGrant[] Granted,
    JobClaim[] Claimed,
    bool More,
    EndResult[] Ended);
