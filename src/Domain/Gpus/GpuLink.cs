namespace Sluice.Domain.Gpus;

/// <summary>A connection between two GPUs.</summary>
/// <param name="A">UUID of the first GPU.</param>
/// <param name="B">UUID of the second GPU.</param>
/// <param name="Kind">The type of the connection.</param>
/// <param name="NvLinks">Number of bonded NVLinks; 0 for other types.</param>
public sealed record GpuLink(string A, string B, LinkKind Kind, int NvLinks);
