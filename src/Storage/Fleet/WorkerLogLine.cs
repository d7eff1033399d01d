namespace Sluice.Storage.Fleet;

/// <summary>A line of a worker's log.</summary>
/// <param name="Id">Its position in the log.</param>
/// <param name="At">When its gateway read it.</param>
/// <param name="Text">The line, printable, at most 500 characters.</param>
/// <param name="Source">
/// <c>worker</c>, or <c>system</c> for a line of the gateway: why the worker ended.
/// </param>
public sealed record WorkerLogLine(string Id, DateTimeOffset At, string Text, string Source);
