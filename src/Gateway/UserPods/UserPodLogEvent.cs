namespace Sluice.Gateway.UserPods;

/// <summary>A line of a pod's log.</summary>
/// <param name="Ts">When it was written, RFC 3339.</param>
/// <param name="Source"><c>container</c> or <c>system</c>.</param>
/// <param name="Line">The text.</param>
public sealed record UserPodLogEvent(string Ts, string Source, string Line);
