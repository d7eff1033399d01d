namespace Sluice.Storage.Keys;

/// <summary>A browser that signed in with an API key. Its token is not stored.</summary>
/// <param name="KeyId">The id of the key.</param>
/// <param name="KeyProof">
/// A hash of the key at the time of the sign-in: if another key gets the same id, the session has ended.
/// </param>
/// <param name="CreatedAt">When the browser signed in.</param>
/// <param name="ExpiresAt">When the session ends.</param>
public sealed record Session(string KeyId, string KeyProof, DateTimeOffset CreatedAt, DateTimeOffset ExpiresAt);
