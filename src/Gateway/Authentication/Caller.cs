using Sluice.Storage.Keys;

namespace Sluice.Gateway.Authentication;

/// <summary>The authenticated sender of a request.</summary>
public sealed record Caller(string KeyId, string Name, KeyScope Scope, KeyLimits Limits);
