namespace Sluice.Domain.Fleet;

/// <summary>Slots of one worker that one gateway holds until it returns them or its lease ends.</summary>
public sealed record HeldSlots(string Holder, string PodId, int Slots);
