namespace Sluice.Simulator.Scalers;

/// <summary>A constant number of workers.</summary>
public sealed class FixedFleet(int workers) : IScaler
{
    public string Name => $"fixed, {workers}";

    public TimeSpan Every => TimeSpan.FromSeconds(1);

    public bool Nudged(SimEndpoint endpoint) => false;

    public Orders Look(SimEndpoint endpoint, DateTimeOffset now) => Orders.To(endpoint, workers);

    public void Ended(SimWorker worker, DateTimeOffset now)
    {
    }
}
