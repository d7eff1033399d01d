namespace Sluice.Storage.Files;

/// <summary>The result of storing a file.</summary>
/// <param name="File">The stored file; null: a limit of the owner is exceeded.</param>
/// <param name="IsNew">Whether this call stored it. False: a file with this id existed before.</param>
/// <param name="Limit">The exceeded limit, <c>files</c> or <c>bytes</c>; null: none.</param>
/// <param name="Held">What the owner has of it.</param>
public sealed record FilePut(StoredFile? File, bool IsNew, string? Limit = null, long Held = 0);
