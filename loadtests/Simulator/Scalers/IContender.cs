namespace Sluice.Simulator.Scalers;

/// <summary>A rule of the comparison that decides how many workers run: a scaler of Sluice or another one.</summary>
public interface IContender
{
    string Name { get; }

    /// <summary>Interval of its passes.</summary>
    TimeSpan Interval { get; }

    /// <summary>Whether this waiting request triggers a pass immediately.</summary>
    bool IsTriggered(SimEndpoint endpoint);

    /// <summary>Decides which workers to start, drain or resume.</summary>
    Orders Decide(SimEndpoint endpoint, DateTimeOffset now);

    /// <summary>Handles a worker that failed or failed to start.</summary>
    void OnFailed(SimWorker worker, DateTimeOffset now);
}
