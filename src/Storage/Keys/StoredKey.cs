using StackExchange.Redis;

namespace Sluice.Storage.Keys;

/// <summary>A key as it was read.</summary>
/// <param name="Key">The key.</param>
/// <param name="Json">
/// Its stored text, which a replacement compares. Records of earlier versions have fewer fields, so the key is not
/// serialized again for that.
/// </param>
public sealed record StoredKey(ApiKey Key, RedisValue Json);
