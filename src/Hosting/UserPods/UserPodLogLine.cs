namespace Sluice.Hosting.UserPods;

/// <summary>A line of the output of a pod's program.</summary>
/// <param name="At">When it was written.</param>
/// <param name="Text">The text.</param>
public readonly record struct UserPodLogLine(DateTimeOffset At, string Text);
