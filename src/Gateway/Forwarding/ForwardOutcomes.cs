using Sluice.Gateway.Http;

namespace Sluice.Gateway.Forwarding;

/// <summary>The HTTP status, the error response and the metric label of each outcome.</summary>
internal static class ForwardOutcomes
{
    /// <summary>Writes the error response of a forwarded request that has no response of a worker.</summary>
    public static Task WriteProblemAsync(this ForwardResult result, HttpContext context)
    {
        if (result.Outcome.GetStatus() is not { } status) return Task.CompletedTask;
        if (result.Outcome.IsFinal()) context.Response.Headers["x-should-retry"] = "false";
        return Problem.WriteAsync(context, status, result.Detail, result.RetryAfter);
    }

    /// <summary>
    /// Whether a client must not send the request again by itself: it has waited or run for the limit of the endpoint,
    /// or the gateway has tried other workers already. OpenAI's clients would otherwise send each request three times.
    /// </summary>
    public static bool IsFinal(this ForwardOutcome outcome) => outcome is ForwardOutcome.QueueTimeout
        or ForwardOutcome.CannotStart or ForwardOutcome.WorkerLost or ForwardOutcome.WorkerAnswerInvalid
        or ForwardOutcome.WorkerTimeout;

    /// <summary>
    /// Returns the HTTP status of an outcome. Null: the client has disconnected, or the response has been sent.
    /// </summary>
    public static int? GetStatus(this ForwardOutcome outcome) => outcome switch
    {
        ForwardOutcome.Answered or ForwardOutcome.ClientGone or ForwardOutcome.CutShort => null,
        ForwardOutcome.QueueFull => StatusCodes.Status429TooManyRequests,
        ForwardOutcome.QueueTimeout => StatusCodes.Status504GatewayTimeout,
        ForwardOutcome.CannotStart or ForwardOutcome.StoreUnreachable => StatusCodes.Status503ServiceUnavailable,
        ForwardOutcome.BodyTooLarge => StatusCodes.Status413PayloadTooLarge,
        ForwardOutcome.BodyBroken or ForwardOutcome.NotForwardable => StatusCodes.Status400BadRequest,
        ForwardOutcome.WorkerLost or ForwardOutcome.WorkerAnswerInvalid => StatusCodes.Status502BadGateway,
        ForwardOutcome.WorkerTimeout => StatusCodes.Status504GatewayTimeout,
        _ => throw new ArgumentOutOfRangeException(nameof(outcome), outcome, null),
    };

    /// <summary>Returns the value of the metric label <c>outcome</c>.</summary>
    public static string GetLabel(this ForwardOutcome outcome) => outcome switch
    {
        ForwardOutcome.Answered => "answered",
        ForwardOutcome.ClientGone => "client_gone",
        ForwardOutcome.QueueFull => "queue_full",
        ForwardOutcome.QueueTimeout => "queue_timeout",
        ForwardOutcome.CannotStart => "cannot_start",
        ForwardOutcome.StoreUnreachable => "store_unreachable",
        ForwardOutcome.BodyTooLarge => "body_too_large",
        ForwardOutcome.BodyBroken => "body_broken",
        ForwardOutcome.NotForwardable => "not_forwardable",
        ForwardOutcome.WorkerLost => "worker_lost",
        ForwardOutcome.WorkerAnswerInvalid => "worker_answer_invalid",
        ForwardOutcome.WorkerTimeout => "worker_timeout",
        ForwardOutcome.CutShort => "cut_short",
        _ => throw new ArgumentOutOfRangeException(nameof(outcome), outcome, null),
    };
}
