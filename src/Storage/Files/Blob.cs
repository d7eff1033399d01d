namespace Sluice.Storage.Files;

/// <summary>Bytes that are stored in the payload folder.</summary>
/// <param name="Reference">The reference, <c>@</c> and the name of the file.</param>
/// <param name="Length">The number of bytes.</param>
public readonly record struct Blob(string Reference, long Length);
