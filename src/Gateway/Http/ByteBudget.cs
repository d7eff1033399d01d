namespace Sluice.Gateway.Http;

/// <summary>Limits the memory of this gateway that all request bodies use together.</summary>
/// <param name="limit">The limit in bytes; 0 means no limit.</param>
public sealed class ByteBudget(long limit)
{
    private long used;

    /// <summary>The limit in bytes; 0 means no limit.</summary>
    public long Limit => limit;

    /// <summary>The bytes that are currently in use.</summary>
    public long Used => Volatile.Read(ref used);

    /// <summary>
    /// Reserves bytes. Returns false, and reserves nothing, if the sum would exceed the share of the limit.
    /// </summary>
    /// <param name="bytes">The number of bytes.</param>
    /// <param name="share">The share of the limit that this caller may use, 0 to 1.</param>
    public bool TryTake(long bytes, double share = 1)
    {
        if (Interlocked.Add(ref used, bytes) <= limit * share || limit == 0) return true;
        Interlocked.Add(ref used, -bytes);
        return false;
    }

    /// <summary>Releases reserved bytes.</summary>
    public void Return(long bytes) => Interlocked.Add(ref used, -bytes);
}
