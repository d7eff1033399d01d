namespace Sluice.Storage.UserPods;

/// <summary>A line of a pod's system log.</summary>
/// <param name="At">When it happened.</param>
/// <param name="Text">What happened, as a sentence.</param>
public sealed record UserPodEvent(DateTimeOffset At, string Text);
