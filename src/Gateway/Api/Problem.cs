using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.WebUtilities;
using Sluice.Core.Endpoints;
using Sluice.Gateway.Forwarding;

namespace Sluice.Gateway.Api;

/// <summary>
/// An error answer: <c>application/problem+json</c> (RFC 9457), with the <c>error</c> field that clients of the Open
/// Inference Protocol read.
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

    private static readonly ProblemJson Json = new(new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        // The answer is JSON, never HTML: quotes and apostrophes stay readable.
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });

    public static Task WriteAsync(HttpContext context, int status, string detail, TimeSpan retryAfter = default,
        IReadOnlyList<FieldError>? errors = null)
    {
        var response = context.Response;
        response.StatusCode = status;
        response.ContentType = ContentType;
        response.Headers["X-Request-Id"] = context.TraceIdentifier;
        if (retryAfter > TimeSpan.Zero)
            response.Headers.RetryAfter = Math.Ceiling(Math.Clamp(retryAfter.TotalSeconds, 1, 86400)).ToString(CultureInfo.InvariantCulture);
        var problem = new Problem(ReasonPhrases.GetReasonPhrase(status), status, detail, detail, context.TraceIdentifier, errors);
        // With its length and in one piece, not in chunks: who asks in a tight loop is refused tens of thousands of times a second.
        var body = JsonSerializer.SerializeToUtf8Bytes(problem, Json.Problem);
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

[JsonSerializable(typeof(Problem))]
internal sealed partial class ProblemJson : JsonSerializerContext;
