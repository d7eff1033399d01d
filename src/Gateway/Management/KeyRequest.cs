namespace Sluice.Gateway.Management;

/// <summary>
/// The body of <c>POST</c> and <c>PATCH /api/v1/keys</c>, for the OpenAPI document. <see cref="KeyFields"/> reads it.
/// </summary>
public sealed record KeyRequest
{
    /// <summary>A display name.</summary>
    public string? Name { get; init; }

    /// <summary>Whether the key may call all APIs.</summary>
    public bool Admin { get; init; }

    /// <summary>Whether the key may read the state of the gateway and all jobs.</summary>
    public bool Read { get; init; }

    /// <summary>Whether the key may read Prometheus metrics.</summary>
    public bool Metrics { get; init; }

    /// <summary>Ids of the endpoints that the key may call. <c>*</c> means all endpoints.</summary>
    public IReadOnlyList<string>? Invoke { get; init; }

    /// <summary>Ids of the pods that the key may open. <c>*</c> means all pods.</summary>
    public IReadOnlyList<string>? Pods { get; init; }

    /// <summary>Names and values that group the usage of keys.</summary>
    public IReadOnlyDictionary<string, string>? Tags { get; init; }

    /// <summary>When the key expires. Null: never.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>Maximum requests per minute, over all endpoints. 0 means no limit.</summary>
    public int RequestsPerMinute { get; init; }

    /// <summary>
    /// Requests that may arrive in one burst. 0 means a tenth of <see cref="RequestsPerMinute"/>.
    /// </summary>
    public int Burst { get; init; }

    /// <summary>
    /// Maximum tokens of prompts and generated texts per minute, over all endpoints. 0 means no limit.
    /// </summary>
    public long TokensPerMinute { get; init; }

    /// <summary>Maximum concurrent requests. 0 means no limit.</summary>
    public int Concurrent { get; init; }

    /// <summary>Maximum queued jobs at each endpoint. 0 means no limit.</summary>
    public int Queued { get; init; }

    /// <summary>
    /// Maximum size of its jobs in Redis at each endpoint, in bytes. 0 means the <c>jobs.maxKeyBytes</c> of the
    /// endpoint.
    /// </summary>
    public long JobBytes { get; init; }

    /// <summary>Weight of the key when keys compete for an endpoint, 0.01 to 100.</summary>
    public double Weight { get; init; } = 1;

    /// <summary>Whether <see cref="Invoke"/> may contain ids of endpoints that are not declared yet.</summary>
    public bool AllowUnknown { get; init; }
}
