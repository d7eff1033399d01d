using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sluice.Gateway.Http;

/// <summary>
/// The format of an error response. Clients of a protocol read only the format of that protocol, so the path selects
/// the format: the Open Inference Protocol (specification/protocol/inference_rest.md) for its paths, OpenAI for
/// <c>/v1</c>, and RFC 9457 for management and jobs. A prefix <c>/e/{endpoint}</c> is ignored.
/// </summary>
public abstract class ErrorForm
{
    /// <summary>The exact content type: the client of KServe reads <c>error</c> from no other content type.</summary>
    private const string Json = "application/json";

    private static readonly ErrorForm Problems = new ProblemForm();
    private static readonly ErrorForm OpenInference = new OpenInferenceForm();
    private static readonly ErrorForm OpenAi = new OpenAiForm();
    private static readonly ErrorForm RunPod = new RunPodForm();

    /// <summary>
    /// First path segments after <c>/v2/</c> that belong to the protocol. Any other segment is an endpoint id of the
    /// jobs API.
    /// </summary>
    private static readonly string[] Protocol = ["models", "health", "repository", "logging", "trace",
        "systemsharedmemory", "cudasharedmemory"];

    // The response is never interpreted as HTML, so quotes and apostrophes are not escaped.
    private static readonly ErrorJson Writer = new(new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });

    /// <summary>The content type of the response.</summary>
    public virtual string ContentType => Json;

    /// <summary>Returns the format of error responses for a request path.</summary>
    public static ErrorForm For(string? path)
    {
        path ??= "";
        if (path.StartsWith("/e/", StringComparison.Ordinal))
            path = path.IndexOf('/', 3) is var end and > 0 ? path[end..] : "/";
        if (IsUnder(path, "/v1")) return OpenAi;
        if (!IsUnder(path, "/v2")) return Problems;
        var rest = path.AsSpan(3).Trim('/');
        foreach (var name in Protocol)
            if (rest.StartsWith(name, StringComparison.Ordinal)
                && (rest.Length == name.Length || rest[name.Length] == '/')) return OpenInference;
        if (IsUnder(path, "/v2/pods")) return RunPod;
        return rest.IsEmpty ? OpenInference : Problems;
    }

    /// <summary>Returns the response body, in UTF-8.</summary>
    public abstract byte[] Write(Problem problem);

    private static bool IsUnder(string path, string prefix) =>
        path.StartsWith(prefix, StringComparison.Ordinal)
        && (path.Length == prefix.Length || path[prefix.Length] == '/');

    private sealed class ProblemForm : ErrorForm
    {
        public override string ContentType => Problem.ContentType;

        public override byte[] Write(Problem problem) => JsonSerializer.SerializeToUtf8Bytes(problem, Writer.Problem);
    }

    /// <summary>The format of RunPod's API v2: RFC 9457, with errors as texts.</summary>
    private sealed class RunPodForm : ErrorForm
    {
        public override string ContentType => Problem.ContentType;

        public override byte[] Write(Problem problem) => JsonSerializer.SerializeToUtf8Bytes(
            new RunPodError(problem.Title, problem.Status, problem.Detail,
                problem.Errors?.Select(e => e.ToString()).ToList()),
            Writer.RunPodError);
    }

    private sealed class OpenInferenceForm : ErrorForm
    {
        public override byte[] Write(Problem problem) =>
            JsonSerializer.SerializeToUtf8Bytes(new OpenInferenceError(problem.Detail), Writer.OpenInferenceError);
    }

    /// <summary>
    /// The format of platform.openai.com/docs/guides/error-codes. Clients select the exception type by the status and
    /// show the message.
    /// </summary>
    private sealed class OpenAiForm : ErrorForm
    {
        public override byte[] Write(Problem problem) => JsonSerializer.SerializeToUtf8Bytes(
            new OpenAiError(problem.NamesModel
                ? new OpenAiErrorBody(problem.Detail, TypeOf(problem.Status), "model", "model_not_found")
                : new OpenAiErrorBody(problem.Detail, TypeOf(problem.Status), problem.Param,
                    problem.Code ?? CodeOf(problem.Status), problem.Budget)),
            Writer.OpenAiError);

        private static string TypeOf(int status) => status switch
        {
            StatusCodes.Status402PaymentRequired => "insufficient_quota",
            StatusCodes.Status429TooManyRequests => "rate_limit_error",
            >= 500 => "server_error",
            _ => "invalid_request_error",
        };

        private static string? CodeOf(int status) => status switch
        {
            StatusCodes.Status401Unauthorized => "invalid_api_key",
            StatusCodes.Status404NotFound => "not_found",
            StatusCodes.Status402PaymentRequired => "budget_exceeded",
            StatusCodes.Status429TooManyRequests => "rate_limit_exceeded",
            _ => null,
        };
    }
}
