using System.Globalization;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.WebUtilities;
using Sluice.Domain.Declarations;

namespace Sluice.Gateway.Http;

/// <summary>
/// An error response. Its format is <c>application/problem+json</c> (RFC 9457) with the field <c>error</c> of RunPod's
/// API, or the format of the protocol that the path belongs to (<see cref="ErrorForm"/>).
/// </summary>
/// <param name="Title">The reason phrase of the status.</param>
/// <param name="Status">The HTTP status.</param>
/// <param name="Detail">The error of this request.</param>
/// <param name="Error">The same as <paramref name="Detail"/>.</param>
/// <param name="RequestId">The request id in the log of the gateway.</param>
/// <param name="Errors">The invalid fields of a declaration.</param>
/// <param name="NamesModel">Whether the request names a model that does not exist.</param>
/// <param name="Param">The invalid parameter, for the form of OpenAI's API.</param>
/// <param name="Budget">The budget that has no room for the request.</param>
/// <param name="Code">The code for programs; null: the status says enough.</param>
public sealed record Problem(string Title, int Status, string Detail, string Error, string RequestId,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<FieldError>? Errors = null,
    [property: JsonIgnore] bool NamesModel = false,
    [property: JsonIgnore] string? Param = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] BudgetExcess? Budget = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Code = null)
{
    /// <summary>The content type of RFC 9457.</summary>
    public const string ContentType = "application/problem+json";

    /// <summary>
    /// Writes an error response in the format that the request path requires (<see cref="ErrorForm"/>).
    /// </summary>
    /// <param name="context">The request.</param>
    /// <param name="status">The HTTP status.</param>
    /// <param name="detail">The error text.</param>
    /// <param name="retryAfter">The value of the header Retry-After, rounded up to 1 to 86400 s. Zero: no
    /// header.</param>
    /// <param name="errors">The invalid fields.</param>
    /// <param name="namesModel">Whether the request names a model that does not exist.</param>
    /// <param name="param">The invalid parameter, for the form of OpenAI's API.</param>
    /// <param name="budget">The budget that has no room for the request.</param>
    /// <param name="code">The code for programs; null: the status says enough.</param>
    public static Task WriteAsync(HttpContext context, int status, string detail, TimeSpan retryAfter = default,
        IReadOnlyList<FieldError>? errors = null, bool namesModel = false,
        string? param = null, BudgetExcess? budget = null, string? code = null)
    {
        var response = context.Response;
        response.StatusCode = status;
        response.ContentType = ErrorForm.For(context.Request.Path.Value).ContentType;
        response.Headers["X-Request-Id"] = context.TraceIdentifier;
        if (retryAfter > TimeSpan.Zero)
            response.Headers.RetryAfter = Math.Ceiling(Math.Clamp(retryAfter.TotalSeconds, 1, 86400))
                .ToString(CultureInfo.InvariantCulture);
        // One write with a Content-Length, not chunked: a client that polls in a tight loop is rejected tens of
        // thousands of times per second.
        var body = Serialize(context, status, detail, errors, namesModel, param, budget, code);
        response.ContentLength = body.Length;
        return response.Body.WriteAsync(body, context.RequestAborted).AsTask();
    }

    /// <summary>Returns the body of an error response, in UTF-8.</summary>
    /// <param name="context">The request.</param>
    /// <param name="status">The HTTP status.</param>
    /// <param name="detail">The error text.</param>
    /// <param name="errors">The invalid fields.</param>
    /// <param name="namesModel">Whether the request names a model that does not exist.</param>
    /// <param name="param">The field of the request that is not valid.</param>
    /// <param name="budget">The budget that has no room for the request.</param>
    /// <param name="code">The code for programs; null: the status says enough.</param>
    public static byte[] Serialize(HttpContext context, int status, string detail,
        IReadOnlyList<FieldError>? errors = null, bool namesModel = false, string? param = null,
        BudgetExcess? budget = null, string? code = null) =>
        ErrorForm.For(context.Request.Path.Value).Write(new Problem(ReasonPhrases.GetReasonPhrase(status), status,
            detail, detail, context.TraceIdentifier, errors, namesModel, param, budget, code));
}
