using System.Text.Json.Serialization;

namespace Sluice.Storage.Keys;

/// <summary>The stored data of an API key. The text of the key is never stored.</summary>
public sealed record ApiKey
{
    private static readonly IReadOnlyDictionary<string, string> NoTags = new Dictionary<string, string>();

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

    /// <summary>
    /// Names and values that group the usage of keys, such as <c>team</c> = <c>vision</c>. Records of earlier versions
    /// do not contain them.
    /// </summary>
    public IReadOnlyDictionary<string, string> Tags
    {
        get;
        init => field = value ?? NoTags;
    } = NoTags;

    public KeyLimits Limits { get; init; } = new();
}
