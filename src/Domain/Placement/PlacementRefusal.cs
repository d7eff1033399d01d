namespace Sluice.Domain.Placement;

/// <summary>Why a request was refused.</summary>
/// <param name="Never">Whether these machines can never satisfy the request; otherwise devices are missing only
/// now.</param>
/// <param name="Part">The field of the requirements that cannot be satisfied: <c>types</c>, <c>mig</c>, <c>share</c>,
/// <c>precision</c>, <c>count</c>, ...; <c>gpu</c> if it is not a single field.</param>
/// <param name="Reason">The reason as text.</param>
/// <param name="WouldFit">Alternatives as text; empty if there is none.</param>
public sealed record PlacementRefusal(bool Never, string Part, string Reason, string WouldFit)
{
    public override string ToString() => WouldFit.Length > 0 ? $"{Reason}; {WouldFit}" : Reason;
}
