namespace Sluice.Domain.Fleet;

/// <summary>The slots of one worker. While it is ready, <c>Free + Leased == Capacity</c>.</summary>
public sealed record WorkerSlots(string PodId, int Capacity, int Free, int Leased, bool Draining);
