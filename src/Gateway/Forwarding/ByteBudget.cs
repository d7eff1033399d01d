namespace Sluice.Gateway.Forwarding;

/// <summary>Memory of this gateway that the bodies of requests may use together.</summary>
/// <param name="limit">Bytes; 0: no limit.</param>
public sealed class ByteBudget(long limit)
{
    private long used;

    /// <summary>Bytes; 0: no limit.</summary>
    public long Limit => limit;

    /// <summary>Bytes in use now.</summary>
    public long Used => Volatile.Read(ref used);

    /// <summary>Takes <paramref name="bytes"/>; false when the sum would exceed the given share of the limit: then nothing is taken.</summary>
    public bool TryTake(long bytes, double share = 1)
    {
        if (Interlocked.Add(ref used, bytes) <= limit * share || limit == 0) return true;
        Interlocked.Add(ref used, -bytes);
        return false;
    }

    /// <summary>Returns bytes that were taken.</summary>
    public void Return(long bytes) => Interlocked.Add(ref used, -bytes);
}
