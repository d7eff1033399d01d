namespace Sluice.Domain.Fleet;

/// <summary>The state of a model's download to a node.</summary>
/// <param name="Source">The declared source.</param>
/// <param name="File">The file that received the latest bytes; null: no file receives bytes now.</param>
/// <param name="Bytes">Bytes of all files that the node has.</param>
/// <param name="TotalBytes">Bytes of all files; null: the source has not reported it yet.</param>
public sealed record ModelTransfer(string Source, string? File, long Bytes, long? TotalBytes);
