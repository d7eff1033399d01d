namespace Sluice.Simulator.Scalers;

/// <summary>Decides how many workers run: Sluice's scaler, or one that it is compared with.</summary>
public interface IScaler
{
    string Name { get; }

    /// <summary>Interval of its passes.</summary>
    TimeSpan Every { get; }

    /// <summary>Whether this waiting request triggers a pass immediately.</summary>
    bool Nudged(SimEndpoint endpoint);

    /// <summary>Decides which workers to start, drain or resume.</summary>
    Orders Look(SimEndpoint endpoint, DateTimeOffset now);

    /// <summary>Handles a worker that failed or failed to start.</summary>
    void Ended(SimWorker worker, DateTimeOffset now);
}
