using System.Text.Json.Serialization;

namespace Sluice.Gateway.Http;

internal sealed record OpenInferenceError(string Error);

internal sealed record OpenAiError(OpenAiErrorBody Error);

internal sealed record OpenAiErrorBody(string Message, string Type, string? Param, string? Code,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] BudgetExcess? Budget = null);

internal sealed record RunPodError(
    string Title,
    int Status,
    string Detail,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<string>? Errors);

[JsonSerializable(typeof(Problem))]
[JsonSerializable(typeof(RunPodError))]
[JsonSerializable(typeof(OpenInferenceError))]
[JsonSerializable(typeof(OpenAiError))]
internal sealed partial class ErrorJson : JsonSerializerContext;
