using System.Globalization;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.WebUtilities;
using Sluice.Core.Endpoints;
using Sluice.Gateway.Forwarding;

namespace Sluice.Gateway.Api;

/// <summary>
/// An error answer: in RFC 9457's form <c>application/problem+json</c> with the field <c>error</c> of RunPod's API, or in another form where
/// the path belongs to a protocol with its own (<see cref="ErrorForm"/>).
/// </summary>
/// <param name="Title">The status in words.</param>
/// <param name="Status">HTTP status.</param>
/// <param name="Detail">What is wrong with this request.</param>
/// <param name="Error">The same as <paramref name="Detail"/>.</param>
/// <param name="RequestId">To be found in the gateway's log.</param>
/// <param name="Errors">Wrong fields, where a declaration was sent.</param>
public sealed record Problem(string Title, int Status, string Detail, string Error, string RequestId,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<FieldError>? Errors = null)
{
    public const string ContentType = "application/problem+json";

    /// <summary>Writes an error in the form that the request's path demands (<see cref="ErrorForm"/>).</summary>
    public static Task WriteAsync(HttpContext context, int status, string detail, TimeSpan retryAfter = default,
        IReadOnlyList<FieldError>? errors = null)
    {
        var response = context.Response;
        response.StatusCode = status;
        var form = ErrorForm.For(context.Request.Path.Value);
        response.ContentType = form.ContentType;
        response.Headers["X-Request-Id"] = context.TraceIdentifier;
        if (retryAfter > TimeSpan.Zero)
            response.Headers.RetryAfter = Math.Ceiling(Math.Clamp(retryAfter.TotalSeconds, 1, 86400)).ToString(CultureInfo.InvariantCulture);
        var problem = new Problem(ReasonPhrases.GetReasonPhrase(status), status, detail, detail, context.TraceIdentifier, errors);
        // With its length and in one piece, not in chunks: who asks in a tight loop is refused tens of thousands of times a second.
        var body = form.Write(problem);
        response.ContentLength = body.Length;
        return response.Body.WriteAsync(body, context.RequestAborted).AsTask();
    }

    /// <summary>Tells the client of a forwarded request why there is no answer of a worker.</summary>
    public static Task WriteAsync(HttpContext context, ForwardResult result) => StatusOf(result.Outcome) is { } status
        ? WriteAsync(context, status, result.Detail, result.RetryAfter) : Task.CompletedTask;

    /// <summary>The status of an outcome; null: there is nobody to tell, or the answer has gone out.</summary>
    public static int? StatusOf(ForwardOutcome outcome) => outcome switch
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
}
