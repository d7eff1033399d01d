using System.Text.Json.Serialization;

namespace Sluice.Gateway.Auth;

/// <summary>What is kept of an API key: never its text.</summary>
public sealed record KeyRecord
{
    public required string Id { get; init; }

    /// <summary>For people.</summary>
    public string Name { get; init; } = "";

    /// <summary>SHA-256 of the key's text.</summary>
    public required byte[] Hash { get; init; }

    /// <summary>The key's last four characters, to recognise it by.</summary>
    public required string Last4 { get; init; }

    public required KeyScope Scope { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>From then on it is refused; null: never.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    public KeyLimits Limits { get; init; } = new();
}

/// <summary>How much of the gateway a key may have. Zero: no limit.</summary>
public sealed record KeyLimits
{
    public static KeyLimits None { get; } = new();

    /// <summary>Requests a minute, over all endpoints and gateways.</summary>
    public int RequestsPerMinute { get; init; }

    /// <summary>Requests of that rate that may come at once; 0: a tenth of a minute's.</summary>
    public int Burst { get; init; }

    /// <summary>Requests at once, over all gateways.</summary>
    public int Concurrent { get; init; }

    /// <summary>Jobs that may wait, at each endpoint.</summary>
    public int Queued { get; init; }

    /// <summary>Bytes that its jobs may occupy in Redis, at each endpoint; 0: the endpoint's <c>jobs.maxKeyBytes</c>.</summary>
    public long JobBytes { get; init; }

    /// <summary>Share of an endpoint beside other keys.</summary>
    public double Weight { get; init; } = 1;

    /// <summary>Whether a request costs a look at Redis.</summary>
    public bool Any => RequestsPerMinute > 0 || Concurrent > 0;
}

/// <summary>What a key may do.</summary>
public sealed record KeyScope
{
    /// <summary>Everything: management, metrics, and every endpoint.</summary>
    public bool Admin { get; init; }

    /// <summary>Endpoints that it may call; <c>*</c>: all.</summary>
    public IReadOnlyList<string> Invoke { get; init; } = [];

    public bool MayInvoke(string endpointId) => Admin || Invoke.Contains("*") || Invoke.Contains(endpointId);

    /// <summary>It may know which endpoints exist.</summary>
    public bool SeesAll => Admin || Invoke.Contains("*");
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(KeyRecord))]
internal sealed partial class KeyJson : JsonSerializerContext;
