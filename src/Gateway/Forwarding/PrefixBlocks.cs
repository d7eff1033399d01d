namespace Sluice.Gateway.Forwarding;

/// <summary>
/// Splits the beginning of a request's body into blocks, each with a hash of everything up to its end. Two requests
/// with equal hashes begin with the same bytes. The turns of a conversation do, because each one repeats the messages
/// before it.
/// </summary>
public static class PrefixBlocks
{
    /// <summary>Bytes of a block. Shorter beginnings are not worth a preference.</summary>
    public const int BlockBytes = 256;

    /// <summary>Maximum number of blocks. Requests that are equal up to there are equal enough.</summary>
    public const int MaxBlocks = 256;

    /// <summary>Returns the hashes of the whole blocks, from the first one on. They differ in each process.</summary>
    /// <param name="endpoint">The endpoint.</param>
    /// <param name="flow">The flow of the request. Workers share no cache between flows.</param>
    /// <param name="body">The body, as far as it has arrived.</param>
    public static int[] Hash(string endpoint, string flow, ReadOnlySpan<byte> body)
    {
        var hashes = new int[Math.Min(MaxBlocks, body.Length / BlockBytes)];
        var hash = new HashCode();
        hash.Add(endpoint);
        hash.Add(flow);
        for (var i = 0; i < hashes.Length; i++)
        {
            hash.AddBytes(body.Slice(i * BlockBytes, BlockBytes));
            hashes[i] = hash.ToHashCode();
        }

        return hashes;
    }
}
