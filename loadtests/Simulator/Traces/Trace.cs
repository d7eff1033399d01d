namespace Sluice.Simulator.Traces;

/// <summary>Requests in the order of their arrival.</summary>
/// <param name="Name">The name in reports.</param>
/// <param name="Length">The end of the trace; no request arrives later.</param>
/// <param name="Requests">The requests.</param>
public sealed record Trace(string Name, TimeSpan Length, IReadOnlyList<Request> Requests)
{
    /// <summary>Mean number of slots in use if no request waits.</summary>
    public double Offered => Requests.Sum(r => r.Service.TotalSeconds) / Length.TotalSeconds;
}
