namespace Sluice.Domain.Jobs;

/// <summary>The codes of <see cref="JobError"/>.</summary>
public static class JobErrors
{
    /// <summary>The handler returned an error.</summary>
    public const string Handler = "HANDLER_ERROR";

    /// <summary>Every attempt lost its worker; the job is a dead letter.</summary>
    public const string Exhausted = "ATTEMPTS_EXHAUSTED";

    /// <summary>The job ran longer than its executionTimeout, or its worker sent nothing for too long.</summary>
    public const string Timeout = "EXECUTION_TIMEOUT";

    /// <summary>The job was queued longer than its ttl.</summary>
    public const string Expired = "TTL_EXPIRED";

    public const string OutputTooLarge = "OUTPUT_TOO_LARGE";

    public const string StreamTooLarge = "STREAM_TOO_LARGE";

    /// <summary>A later attempt streamed different data than the attempt before it.</summary>
    public const string StreamDiverged = "STREAM_DIVERGED";

    /// <summary>The response of the worker is not JSON, or does not have the documented form.</summary>
    public const string AnswerInvalid = "WORKER_ANSWER_INVALID";

    /// <summary>The output could not be stored.</summary>
    public const string OutputLost = "OUTPUT_NOT_STORED";

    /// <summary>The input could not be read again.</summary>
    public const string InputLost = "INPUT_NOT_READABLE";

    public const string Cancelled = "CANCELLED";

    public const string EndpointGone = "ENDPOINT_DELETED";

    /// <summary>The gateway could not process the job: a bug, which its log describes.</summary>
    public const string Gateway = "GATEWAY_ERROR";
}
