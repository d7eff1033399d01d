namespace Sluice.Simulator.Traces;

/// <summary>One request of a trace.</summary>
/// <param name="At">When it arrives, from the trace's beginning.</param>
/// <param name="Service">How long it holds a slot.</param>
public readonly record struct Request(TimeSpan At, TimeSpan Service);

/// <summary>Requests in the order of their arrival.</summary>
/// <param name="Name">What it is called in results.</param>
/// <param name="Length">When it ends; no request comes later.</param>
/// <param name="Requests">Its requests.</param>
public sealed record Trace(string Name, TimeSpan Length, IReadOnlyList<Request> Requests)
{
    /// <summary>Slots that are in use on average if nobody waits.</summary>
    public double Offered => Requests.Sum(r => r.Service.TotalSeconds) / Length.TotalSeconds;
}
