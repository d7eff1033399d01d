namespace Sluice.Storage.Queueing;

/// <summary>
/// The result of <c>acquire</c>. <see cref="Lost"/>: the lease of the holder was ended, and nothing was written.
/// </summary>
public sealed record AcquireAnswer(
    bool Lost,
    int Depth,
    SlotGrant[] Granted,
    (string Id, string Entry)[] Queued,
    (string Id, string Why)[] Refused,
    string[] Spare,
    string BlockedReason,
    int Holders = 0)
{
    internal static AcquireAnswer LostLease { get; } = new(true, 0, [], [], [], [], "");
}
