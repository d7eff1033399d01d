namespace Sluice.Domain.Batches;

/// <summary>The status values of batches, as in OpenAI's API.</summary>
public static class BatchStatus
{
    /// <summary>The lines of the input are checked.</summary>
    public const string Validating = "validating";

    /// <summary>The input is not valid.</summary>
    public const string Failed = "failed";

    /// <summary>The lines run.</summary>
    public const string InProgress = "in_progress";

    /// <summary>All lines have ended, and the output is written.</summary>
    public const string Finalizing = "finalizing";

    public const string Completed = "completed";

    /// <summary>The completion window ended before all lines.</summary>
    public const string Expired = "expired";

    /// <summary>A client cancelled the batch, and the output of the lines that have ended is written.</summary>
    public const string Cancelling = "cancelling";

    public const string Cancelled = "cancelled";

    public static IReadOnlyList<string> All { get; } =
        [Validating, Failed, InProgress, Finalizing, Completed, Expired, Cancelling, Cancelled];

    /// <summary>The statuses in which a client can cancel.</summary>
    public static IReadOnlyList<string> Cancellable { get; } = [Validating, InProgress];

    /// <summary>Whether a batch in this status no longer changes.</summary>
    public static bool IsFinal(string status) => status is Failed or Completed or Expired or Cancelled;
}
