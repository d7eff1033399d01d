namespace Sluice.Storage.Fleet;

/// <summary>The result of a leader's order.</summary>
public enum StartDecision
{
    /// <summary>The order was accepted.</summary>
    Taken,

    /// <summary>The endpoint has its maximum number of pods.</summary>
    Full,

    /// <summary>A later leader exists; the order was rejected.</summary>
    Stale,
}
