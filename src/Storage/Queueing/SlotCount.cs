namespace Sluice.Storage.Queueing;

/// <summary>Slots of a holder at one pod.</summary>
/// <param name="Pod">The pod.</param>
/// <param name="Slots">The number of slots.</param>
/// <param name="Tokens">The tokens that the pod was charged for their requests.</param>
public readonly record struct SlotCount(string Pod, int Slots, long Tokens = 0);
