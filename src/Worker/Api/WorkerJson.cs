using System.Text.Json;
using System.Text.Json.Serialization;
using Sluice.Worker.Generation;

namespace Sluice.Worker.Api;

/// <summary>Body of an error response.</summary>
public sealed record ErrorBody(string Error);

/// <summary>Body of <c>/v2/health/live</c>.</summary>
public sealed record LiveBody(bool Live);

/// <summary>Body of <c>/v2/health/ready</c>.</summary>
/// <param name="Ready">Whether all models are loaded and warm.</param>
/// <param name="Provider">The execution provider that runs the models.</param>
/// <param name="Skipped">Preferred providers that are not available, with the reason.</param>
public sealed record ReadyBody(
    bool Ready,
    string? Provider = null,
    IReadOnlyDictionary<string, string>? Skipped = null);

/// <summary>Body of a model's <c>/ready</c>.</summary>
/// <param name="Name">Name of the model.</param>
/// <param name="Ready">Whether the model is served.</param>
/// <param name="Placement">Number of the model's nodes on each provider.</param>
public sealed record ModelReadyBody(string Name, bool Ready, string? Placement);

/// <summary>Body of <c>/v2</c>.</summary>
public sealed record ServerMetadata(string Name, string Version, IReadOnlyList<string> Extensions);

/// <summary>An input or output in the metadata of a model.</summary>
public sealed record TensorMetadata(string Name, string Datatype, IReadOnlyList<long> Shape);

/// <summary>Body of <c>/v2/models/{model}</c>.</summary>
public sealed record ModelMetadata(
    string Name,
    IReadOnlyList<string> Versions,
    string Platform,
    IReadOnlyList<TensorMetadata> Inputs,
    IReadOnlyList<TensorMetadata> Outputs,
    string? Placement);

/// <summary>Body of <c>/v2/models</c>.</summary>
public sealed record ModelList(IReadOnlyCollection<string> Models);

/// <summary>
/// Response of the generate extension: the whole response, or one event of a stream. Finish reason, token counts and
/// details are only in the whole response and in the last event.
/// </summary>
/// <param name="Id">Id of the request.</param>
/// <param name="ModelName">Name of the model.</param>
/// <param name="ModelVersion">Version of the model.</param>
/// <param name="TextOutput">The text; in an event, the part of the text that the event adds.</param>
/// <param name="FinishReason">Why the generation ended: <c>stop</c> or <c>length</c>.</param>
/// <param name="TokensGenerated">Number of generated tokens.</param>
/// <param name="TokensPrompt">Number of tokens of the prompt.</param>
/// <param name="Details">If the request has <c>details</c>: the finish reason and the tokens.</param>
/// <param name="Token">If the request has <c>details</c>, in an event that is not the last one: the token.</param>
public sealed record GenerateBody(
    string? Id,
    string ModelName,
    string ModelVersion,
    string TextOutput,
    string? FinishReason,
    int? TokensGenerated,
    int? TokensPrompt,
    GenerateDetails? Details = null,
    GeneratedToken? Token = null);

/// <summary>
/// The objects <c>Details</c> (in a whole response) and <c>StreamDetails</c> (in the last event) of the Open Inference
/// Protocol: generate_rest.yaml.
/// </summary>
/// <param name="FinishReason"><c>length</c>, <c>eos_token</c> or <c>stop_sequence</c>.</param>
/// <param name="Logprobs">All tokens; null in an event.</param>
/// <param name="Token">The last token; null in a whole response.</param>
public sealed record GenerateDetails(
    string FinishReason,
    IReadOnlyList<GeneratedToken>? Logprobs,
    GeneratedToken? Token);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ErrorBody))]
[JsonSerializable(typeof(LiveBody))]
[JsonSerializable(typeof(ReadyBody))]
[JsonSerializable(typeof(ModelReadyBody))]
[JsonSerializable(typeof(ServerMetadata))]
[JsonSerializable(typeof(ModelMetadata))]
[JsonSerializable(typeof(ModelList))]
[JsonSerializable(typeof(GenerateBody))]
internal sealed partial class WorkerJson : JsonSerializerContext;
