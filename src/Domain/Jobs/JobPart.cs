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

/// <summary>The outcome of appending chunks.</summary>
public enum AppendOutcome
{
    Appended,

    /// <summary>The attempt is no longer the current attempt of the job.</summary>
    Stale,

    /// <summary>The log would exceed its limit.</summary>
    Full,

    /// <summary>The jobs of the endpoint, or of the key, would exceed their limit of bytes.</summary>
    NoRoom,

    /// <summary>An earlier attempt streamed different data at this index.</summary>
    Diverged,

    /// <summary>The log has fewer chunks than the attempt appended before: Redis lost its last writes.</summary>
    Gap,
}
