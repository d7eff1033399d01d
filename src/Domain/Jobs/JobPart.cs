namespace Sluice.Domain.Jobs;

/// <summary>A part of the stream of a job.</summary>
/// <param name="Status">The status of the job; empty: the job does not exist.</param>
/// <param name="Expired">Whether its data was deleted.</param>
/// <param name="First">The index of the first chunk.</param>
/// <param name="Total">The number of chunks in the log.</param>
/// <param name="Chunks">The chunks as JSON texts.</param>
public sealed record JobPart(string Status, bool Expired, int First, int Total, IReadOnlyList<byte[]> Chunks)
{
    /// <summary>The index of the chunk after these.</summary>
    public int Next => First + Chunks.Count;

    /// <summary>Whether no more chunks follow.</summary>
    public bool IsLast => JobStatus.IsFinal(Status) && Next >= Total;
}
