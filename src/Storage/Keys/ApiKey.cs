using System.Text.Json.Serialization;

namespace Sluice.Storage.Keys;

/// <summary>The stored data of an API key. The text of the key is never stored.</summary>
public sealed record ApiKey
{
    public required string Id { get; init; }

    /// <summary>The display name.</summary>
    public string Name { get; init; } = "";

    /// <summary>SHA-256 of the key's text.</summary>
    public required byte[] Hash { get; init; }

    /// <summary>The last four characters of the key, which help users to recognize it.</summary>
    public required string Last4 { get; init; }

    public required KeyScope Scope { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>The time at which the key expires; null if it does not expire.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    public KeyLimits Limits { get; init; } = new();
}
