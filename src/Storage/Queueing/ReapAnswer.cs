namespace Sluice.Storage.Queueing;

/// <summary>The result of <c>reap</c>.</summary>
public readonly record struct ReapAnswer(int LeasesEnded, int SlotsFreed, int TicketsDropped, int JobsQueuedAgain);
