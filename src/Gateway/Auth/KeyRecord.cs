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
