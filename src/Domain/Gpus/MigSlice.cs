namespace Sluice.Domain.Gpus;

/// <summary>A MIG slice of a GPU.</summary>
/// <param name="Uuid">The UUID, <c>MIG-...</c>, by which a pod gets the slice. A process can use only one
/// slice.</param>
/// <param name="Profile">The profile.</param>
/// <param name="Device">The index on its GPU.</param>
public sealed record MigSlice(string Uuid, MigProfile Profile, int Device);
