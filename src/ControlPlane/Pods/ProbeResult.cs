namespace Sluice.ControlPlane.Pods;

/// <summary>The result of one probe.</summary>
/// <param name="Ready">Whether the pod is ready.</param>
/// <param name="Seen">The probe and its result, for operators.</param>
/// <param name="Answered">Whether something answered at the address without being ready.</param>
public readonly record struct ProbeResult(bool Ready, string Seen, bool Answered = false);
