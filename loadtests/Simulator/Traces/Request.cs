namespace Sluice.Simulator.Traces;

/// <summary>One request of a trace.</summary>
/// <param name="At">Arrival time, from the start of the trace.</param>
/// <param name="Service">How long it holds a slot.</param>
public readonly record struct Request(TimeSpan At, TimeSpan Service);
