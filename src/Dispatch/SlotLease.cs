namespace Sluice.Dispatch;

/// <summary>
/// Tracks the lease under which this gateway holds slots of one endpoint, and what Redis reported about the other
/// gateways and the queue. Not thread-safe: the owner synchronizes access.
/// </summary>
internal sealed class SlotLease(string gatewayId)
{
    /// <summary>The number of leases that were lost before this one.</summary>
    public int Epoch { get; private set; }

    /// <summary>The name of this gateway in the slot accounts in Redis, different for each lease.</summary>
    public string Holder => $"{gatewayId}~{Epoch}";

    /// <summary>Whether Redis has granted the lease.</summary>
    public bool IsHeld { get; private set; }

    /// <summary>Whether no other gateway has a lease for the endpoint.</summary>
    public bool IsOnlyHolder { get; private set; }

    /// <summary>Whether tickets wait in Redis: this gateway must keep no idle slots.</summary>
    public bool IsContended { get; private set; }

    /// <summary>The number of tickets in the queue, as Redis last reported it.</summary>
    public int Depth { get; private set; }

    /// <summary>Records that Redis has granted the lease.</summary>
    public void OnAcquired(int holders)
    {
        IsHeld = true;
        IsOnlyHolder = holders == 1;
    }

    /// <summary>Records that Redis has renewed the lease.</summary>
    public void OnRenewed(int holders) => IsOnlyHolder = holders == 1;

    /// <summary>Records the number of tickets in the queue.</summary>
    public void SetDepth(int depth)
    {
        Depth = depth;
        IsContended = depth > 0;
    }

    /// <summary>Records that idle slots must be returned.</summary>
    public void MarkContended() => IsContended = true;

    /// <summary>Ends the lease: the next one has another holder name.</summary>
    public void OnLost()
    {
        Epoch++;
        IsHeld = false;
        IsContended = false;
        IsOnlyHolder = false;
    }
}
