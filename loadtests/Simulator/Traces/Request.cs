namespace Sluice.Simulator.Traces;

/// <summary>One request of a trace.</summary>
/// <param name="At">Arrival time, from the start of the trace.</param>
/// <param name="Service">How long it holds a slot.</param>
/// <param name="Tokens">Tokens of its prompt and its answer; 0: it generates no text.</param>
public readonly record struct Request(TimeSpan At, TimeSpan Service, long Tokens = 0);
