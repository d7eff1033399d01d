namespace Sluice.Storage.Fleet;

/// <summary>A line of a worker's log that is not stored yet.</summary>
/// <param name="At">When the gateway read or wrote it.</param>
/// <param name="Text">The line.</param>
/// <param name="IsSystem">Whether the gateway wrote it, not the worker.</param>
public readonly record struct WorkerOutput(DateTimeOffset At, string Text, bool IsSystem = false);
