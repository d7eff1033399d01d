namespace Sluice.Worker.Models;

/// <summary>Limits of the text generation of one model.</summary>
/// <param name="MaxSequences">Maximum number of texts that are generated concurrently, 1 or more.</param>
/// <param name="CacheBytes">
/// Maximum size of the key/value cache in bytes. It also limits the context, but not below 512 tokens. The cache is
/// allocated on demand. Null: a quarter of the memory that the process may use.
/// </param>
/// <param name="MaxQueue">Requests that can wait. The worker rejects further requests with 503.</param>
/// <param name="MaxQueueTokens">Tokens of the prompts that can wait. One request can always wait.</param>
/// <param name="PrefixCache">Which texts share the keys and values of tokens with which they begin.</param>
/// <param name="Threads">
/// Number of threads of a run on the CPU. Null: all cores that the process may use, because a model has one run at a
/// time.
/// </param>
public sealed record GenerationLimits(
    int MaxSequences = 64,
    long? CacheBytes = null,
    int MaxQueue = 1000,
    long MaxQueueTokens = 4 << 20,
    PrefixCache PrefixCache = PrefixCache.Key,
    int? Threads = null)
{
    /// <summary>The share of the memory of the process that the cache may use, if no size is set.</summary>
    private const int DefaultCacheShare = 4;

    /// <summary>The cache has room for this number of tokens, however small its limit is.</summary>
    private const int LeastContext = 512;

    /// <summary>Returns the number of tokens for which the cache can have room.</summary>
    /// <param name="tokenBytes">Bytes that one token takes.</param>
    public long CacheTokens(long tokenBytes) => Math.Max(LeastContext,
        (CacheBytes ?? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / DefaultCacheShare) / tokenBytes);
}
