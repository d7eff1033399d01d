namespace Sluice.Domain.Batches;

/// <summary>What the run of a batch does next.</summary>
public enum BatchStep
{
    /// <summary>Check the lines.</summary>
    Validate,

    /// <summary>Run the lines that are not in the output.</summary>
    Run,

    /// <summary>Write the output, and end the batch as completed.</summary>
    Complete,

    /// <summary>Stop the lines that run, write the output, and end the batch as cancelled.</summary>
    Cancel,

    /// <summary>
    /// Stop the lines that run, write an error for each line that has not ended, and end the batch as expired.
    /// </summary>
    Expire,

    /// <summary>Nothing: the batch has ended.</summary>
    Stop,
}
