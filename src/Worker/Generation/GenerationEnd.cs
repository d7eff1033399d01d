namespace Sluice.Worker.Generation;

/// <summary>Why a text ended, with the meaning of vLLM's <c>finished_reason</c>.</summary>
public enum GenerationEnd
{
    /// <summary>At the end-of-text token, or at a stop string.</summary>
    Stop,

    /// <summary>At the maximum number of tokens, or at the end of the context.</summary>
    Length,

    /// <summary>Its reader was gone or cancelled.</summary>
    Abort,

    /// <summary>It failed, or waited longer than its timeout.</summary>
    Error,
}
