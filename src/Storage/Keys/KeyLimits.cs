namespace Sluice.Storage.Keys;

/// <summary>The usage limits of a key. Zero means no limit.</summary>
public sealed record KeyLimits
{
    public static KeyLimits None { get; } = new();

    /// <summary>Requests per minute, over all endpoints and gateways.</summary>
    public int RequestsPerMinute { get; init; }

    /// <summary>The burst size in requests; 0 means one tenth of <see cref="RequestsPerMinute"/>.</summary>
    public int Burst { get; init; }

    /// <summary>
    /// Tokens of prompts and generated texts per minute, over all endpoints and gateways: in no 60 s are more reserved.
    /// </summary>
    public long TokensPerMinute { get; init; }

    /// <summary>Concurrent requests, over all gateways.</summary>
    public int Concurrent { get; init; }

    /// <summary>Queued jobs per endpoint.</summary>
    public int Queued { get; init; }

    /// <summary>
    /// Bytes that the key's jobs may use in Redis, per endpoint; 0 means the endpoint's <c>jobs.maxKeyBytes</c>.
    /// </summary>
    public long JobBytes { get; init; }

    /// <summary>The weight of the key relative to other keys of the endpoint.</summary>
    public double Weight { get; init; } = 1;

    /// <summary>Whether a request must be counted in Redis when it arrives.</summary>
    public bool Any => RequestsPerMinute > 0 || Concurrent > 0;
}
