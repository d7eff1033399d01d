namespace Sluice.Simulator.Scalers;

/// <summary>A constant number of workers.</summary>
public sealed class FixedFleet(int workers) : IContender
{
    public string Name => $"fixed, {workers}";

    public TimeSpan Interval => TimeSpan.FromSeconds(1);

    public bool IsTriggered(SimEndpoint endpoint) => false;

    public Orders Decide(SimEndpoint endpoint, DateTimeOffset now) => Orders.To(endpoint, workers);

    public void OnFailed(SimWorker worker, DateTimeOffset now)
    {
    }
}
