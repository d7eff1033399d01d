namespace Sluice.Storage.Fleet;

/// <summary>A line that a worker wrote.</summary>
/// <param name="Id">Its position in the log.</param>
/// <param name="At">When its gateway read it.</param>
/// <param name="Text">The line, printable, at most 500 characters.</param>
public sealed record WorkerLogLine(string Id, DateTimeOffset At, string Text);
