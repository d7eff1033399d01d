namespace Sluice.Storage.Queueing;

/// <summary>The result of <c>renew</c>; the header of the script documents it.</summary>
public sealed record RenewAnswer(
    bool Lost,
    int Depth,
    SlotGrant[] Unaccepted,
    string[] NotReady,
    string[] Missing,
    JobClaim[] Orphans,
    string[] Ended,
    int Holders = 0)
{
    internal static RenewAnswer LostLease { get; } = new(true, 0, [], [], [], [], []);
}
