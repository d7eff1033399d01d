namespace Sluice.Domain.Jobs;

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
