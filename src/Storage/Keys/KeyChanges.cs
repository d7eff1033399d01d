namespace Sluice.Storage.Keys;

/// <summary>The result of <see cref="KeyStore.ReadAsync"/>.</summary>
/// <param name="Version">The version that includes these changes.</param>
/// <param name="All">Whether the list contains all keys, not only the changed ones.</param>
/// <param name="Keys">IDs with their records; a null record means that the key was deleted.</param>
public sealed record KeyChanges(string Version, bool All, IReadOnlyList<(string Id, ApiKey? Record)> Keys);
