using System.Text.Json;
using System.Text.Json.Serialization;
using Sluice.Worker.Generation;

namespace Sluice.Worker.Api;

public sealed record ErrorBody(string Error);

public sealed record LiveBody(bool Live);

/// <param name="Ready">All models are loaded and warm.</param>
/// <param name="Provider">What runs them.</param>
/// <param name="Skipped">Providers that were preferred and cannot be had, with the reason.</param>
public sealed record ReadyBody(bool Ready, string? Provider = null, IReadOnlyDictionary<string, string>? Skipped = null);

/// <param name="Name">The model.</param>
/// <param name="Ready">It is served.</param>
/// <param name="Placement">How many of its nodes run on which provider.</param>
public sealed record ModelReadyBody(string Name, bool Ready, string? Placement);

public sealed record ServerMetadata(string Name, string Version, IReadOnlyList<string> Extensions);

public sealed record TensorMetadata(string Name, string Datatype, IReadOnlyList<long> Shape);

public sealed record ModelMetadata(string Name, IReadOnlyList<string> Versions, string Platform,
    IReadOnlyList<TensorMetadata> Inputs, IReadOnlyList<TensorMetadata> Outputs, string? Placement);

public sealed record ModelList(IReadOnlyCollection<string> Models);

/// <summary>The generate extension's answer. The last fields stand in the last event only, or in the whole answer.
/// </summary>
/// <param name="Id">The request's.</param>
/// <param name="ModelName">The model.</param>
/// <param name="ModelVersion">Its version.</param>
/// <param name="TextOutput">The text, or of an event its part.</param>
/// <param name="FinishReason">Why it ended: <c>stop</c> or <c>length</c>.</param>
/// <param name="TokensGenerated">How many were made.</param>
/// <param name="TokensPrompt">How many the prompt has.</param>
/// <param name="Details">Where <c>details</c> asks for it: how it ended, and its tokens.</param>
/// <param name="Token">Likewise, of an event that is not the last: its token.</param>
public sealed record GenerateBody(string? Id, string ModelName, string ModelVersion, string TextOutput,
    string? FinishReason, int? TokensGenerated, int? TokensPrompt, GenerateDetails? Details = null, GeneratedToken? Token = null);

/// <summary>The Open Inference Protocol's <c>Details</c> (of a whole answer) and <c>StreamDetails</c> (of the last event): generate_rest.yaml.</summary>
/// <param name="FinishReason"><c>length</c>, <c>eos_token</c> or <c>stop_sequence</c>.</param>
/// <param name="Logprobs">All tokens; null in an event.</param>
/// <param name="Token">The last one; null in a whole answer.</param>
public sealed record GenerateDetails(string FinishReason, IReadOnlyList<GeneratedToken>? Logprobs, GeneratedToken? Token);

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
